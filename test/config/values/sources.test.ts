import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '../../../src/config/load.ts'
import { given, problem } from '../settings-file.ts'

test('sources are Docker daemons, OCI layouts and folders of skopeo', async () => {
  const yaml = `sources:
  - docker: env
    compress: gzip
  - { ociLayout: /srv/images.tar, registry: reg.test, exclusive: true }
  - dir: /srv/dir
    namePrefix: acme/base
    prefixes: [a/, b]
`
  const plain = { registry: undefined, namePrefix: undefined, prefixes: [], isExclusive: false }
  const { sources } = await loadSettings(await given(yaml))
  assert.deepEqual(sources, [
    { ...plain, from: { kind: 'docker', host: 'env', compress: 'gzip' } },
    { ...plain, from: { kind: 'oci', path: '/srv/images.tar' }, registry: 'reg.test', isExclusive: true },
    { ...plain, from: { kind: 'dir', path: '/srv/dir' }, namePrefix: 'acme/base', prefixes: ['a/', 'b'] },
  ])
})

for (const [yaml, message] of [
  ['sources: [{ registry: a.test }]', /has no source; expected one of docker, ociLayout, dir/],
  ['sources: [{ dir: /a, ociLayout: /b }]', /has ociLayout and dir; expected one of docker, ociLayout, dir/],
  ['sources: [{ dir: /a, compress: gzip }]', /has compress, which is for docker only/],
  [
    'sources: [{ docker: "ssh://x" }]',
    /has a wrong value; expected env, unix:\/\/\/var\/run\/docker\.sock or tcp:/,
  ],
  ['sources: docker', /has no value; expected a list of sources/],
] as const) {
  test(`${yaml} is refused`, async () => {
    assert.match(await problem(yaml), message)
  })
}
