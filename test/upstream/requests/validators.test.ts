import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpHeaders } from '../../../src/lib/http1/headers.ts'
import { Validators } from '../../../src/upstream/requests/validators.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'

const DIGEST = digestOf(Buffer.from('content'))
const DATE = 'Mon, 30 Nov 2026 12:00:00 GMT'

function headers(...pairs: [string, string][]): HttpHeaders {
  return new HttpHeaders(pairs)
}

test('a strong ETag is sent, and an answer must have the same', () => {
  const validators = new Validators()
  assert.equal(validators.ifRange(DIGEST), undefined)
  validators.remember(DIGEST, headers(['etag', '"a"']))
  assert.equal(validators.ifRange(DIGEST), '"a"')
  assert.equal(validators.isSame(DIGEST, headers(['etag', '"a"'])), true)
  assert.equal(validators.isSame(DIGEST, headers(['etag', '"b"'])), false)
})

for (const [name, value] of [
  ['etag', 'W/"a"'],
  ['last-modified', DATE],
] as const) {
  test(`a weak validator is not sent, but an answer must have the same: ${name}`, () => {
    const validators = new Validators()
    validators.remember(DIGEST, headers([name, value]))
    assert.equal(validators.ifRange(DIGEST), undefined)
    assert.equal(validators.isSame(DIGEST, headers([name, value])), true)
    assert.equal(validators.isSame(DIGEST, headers([name, `${value}x`])), false)
  })
}

test('an answer without a validator may be of any version, and the next one takes the place of those before', () => {
  const validators = new Validators()
  assert.equal(validators.isSame(DIGEST, headers(['etag', '"a"'])), true)
  validators.remember(DIGEST, headers(['etag', '"a"']))
  assert.equal(validators.isSame(DIGEST, headers()), true)
  validators.remember(DIGEST, headers())
  assert.equal(validators.isSame(DIGEST, headers(['etag', '"b"'])), true)
})

test('an ETag that is too long for a header is none', () => {
  const validators = new Validators()
  validators.remember(DIGEST, headers(['etag', `"${'a'.repeat(300)}"`]))
  assert.equal(validators.ifRange(DIGEST), undefined)
})
