import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contentPath, parseContentRequest } from '../../../../src/peers/wire/protocol/content-path.ts'
import { WANT } from '../../../../testkit/peer-lab.ts'

const { digest, repository } = WANT

test('the path of a content is parsed back, for blobs, manifests and registries with a port', () => {
  for (const kind of ['blob', 'manifest'] as const) {
    for (const registry of ['up.test', 'up.test:5000', '[::1]:5000']) {
      const want = { digest, kind, repository: { registry, name: 'team/app' } }
      const path = contentPath(want)
      assert.ok(path.startsWith(`/v2/team/app/${kind}s/sha256:`), path)
      assert.deepEqual(parseContentRequest(path, undefined), { digest, repository: want.repository, from: 0 })
    }
  }
  assert.deepEqual(parseContentRequest(contentPath(WANT), 'bytes=17-'), { digest, repository, from: 17 })
})

for (const [what, path, range] of [
  ['no registry', `/v2/team/app/blobs/${digest}`],
  ['an invalid registry', `/v2/team/app/blobs/${digest}?ns=UP%20test`],
  ['a registry with a path', `/v2/team/app/blobs/${digest}?ns=up.test%2Fa`],
  ['a broken escape', `/v2/team/app/blobs/${digest}?ns=%E0%A4%A`],
  ['another parameter', `/v2/team/app/blobs/${digest}?ns=up.test&a=b`],
  ['an invalid repository', `/v2/../etc/blobs/${digest}?ns=up.test`],
  ['an escaped repository', `/v2/team%2Fapp/blobs/${digest}?ns=up.test`],
  ['a tag', '/v2/team/app/manifests/v1?ns=up.test'],
  ['an invalid digest', '/v2/team/app/blobs/sha256:abc?ns=up.test'],
  ['no path of a content', '/v2/?ns=up.test'],
  ['a range with an end', contentPath(WANT), 'bytes=0-5'],
  ['a range from the end', contentPath(WANT), 'bytes=-5'],
  ['several ranges', contentPath(WANT), 'bytes=0-,5-'],
  ['a range of another unit', contentPath(WANT), 'lines=0-'],
  ['a range beyond all numbers', contentPath(WANT), `bytes=${'9'.repeat(20)}-`],
] as const) {
  test(`a request with ${what} is none for a content`, () => {
    assert.equal(parseContentRequest(path, range), undefined)
  })
}
