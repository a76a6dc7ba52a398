import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '../../../src/config/load.ts'
import { given, problem } from '../settings-file.ts'

async function storeIn(yaml: string) {
  return (await loadSettings(await given(yaml))).objectStore
}

test('a bucket is a URL with what is needed to reach it and to fill it', async () => {
  const yaml = `objectStore:
  url: s3://bucket/some/prefix/
  endpoint: https://s3.example:9000
  region: eu-central-1
  pathStyle: true
  fill: pinned
  fillNames: ["ghcr.io/acme/**"]
  expire: [{ names: ["ghcr.io/acme/*"], keepTags: [v*], keepLast: 3, keepFor: 30d }]
  expireGrace: 3d
  fillAfterPulls: 2
  uploadConcurrency: 1
  uploadRate: 50MiB
`
  assert.deepEqual(await storeIn(yaml), {
    bucket: 'bucket',
    prefix: 'some/prefix',
    endpoint: 'https://s3.example:9000/',
    region: 'eu-central-1',
    pathStyle: true,
    fill: 'pinned',
    fillNames: ['ghcr.io/acme/**'],
    expire: [
      { names: ['ghcr.io/acme/*'], keepTags: ['v*'], keepLast: 3, keepForMs: 30 * 24 * 60 * 60 * 1000 },
    ],
    expireGraceMs: 3 * 24 * 60 * 60 * 1000,
    fillAfterPulls: 2,
    uploadConcurrency: 1,
    uploadRate: 50 * 1024 * 1024,
  })
  assert.equal(await storeIn('{}'), undefined)
})

test('what cannot be meant is refused with what is allowed', async () => {
  const refusals: readonly (readonly [yaml: string, message: RegExp])[] = [
    ['{ region: eu-west-1 }', /has no url/],
    ['{ url: "https://bucket" }', /s3:\/\/bucket\/prefix/],
    ['{ url: "s3://bucket/a/../b" }', /s3:\/\/bucket\/prefix/],
    ['{ url: "s3://bucket", endpoint: "https://key:secret@s3.example" }', /without credentials/],
    ['{ url: "s3://bucket", sseKeyId: key }', /aws:kms/],
    ['{ url: "s3://bucket", layout: oci-registry, fill: all }', /only read/],
    ['{ url: "s3://bucket", layout: oci-registry, hosted: true }', /only read/],
    ['{ url: "s3://bucket", readRanges: 0 }', /from 1 to 4/],
  ]
  for (const [yaml, message] of refusals) {
    assert.match(await problem(`objectStore: ${yaml}\n`), message)
  }
})
