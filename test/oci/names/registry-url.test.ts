import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRegistryUrl } from '../../../src/oci/names/registry-url.ts'

test('a registry URL names a registry, or a part of one', () => {
  const table: readonly [string, string, string, string][] = [
    [
      'https://us-docker.pkg.dev/v2/project/repo/',
      'https://us-docker.pkg.dev',
      'us-docker.pkg.dev',
      'project/repo',
    ],
    ['https://GHCR.io/v2/', 'https://ghcr.io', 'ghcr.io', ''],
    ['https://reg.test:5443/v2/a/', 'https://reg.test:5443', 'reg.test:5443', 'a'],
    ['https://registry-1.docker.io/v2/library/', 'https://registry-1.docker.io', 'docker.io', 'library'],
    ['https://reg.test/v2/a/../b/', 'https://reg.test', 'reg.test', 'b'],
  ]
  for (const [text, origin, registry, prefix] of table) {
    assert.deepEqual(parseRegistryUrl(text), { origin, registry, prefix }, text)
  }
})

test('what is no https URL with /v2/ and a final slash is none', () => {
  for (const text of [
    '',
    'us-docker.pkg.dev/v2/project/',
    'http://us-docker.pkg.dev/v2/project/',
    'https://us-docker.pkg.dev/project/',
    'https://us-docker.pkg.dev/v2',
    'https://us-docker.pkg.dev/v2/project',
    'https://us-docker.pkg.dev/v2//',
    'https://us-docker.pkg.dev/v2/Project/',
    'https://us-docker.pkg.dev/v2/a%2fb/',
    'https://us-docker.pkg.dev/v2/../x/',
    'https://user@us-docker.pkg.dev/v2/project/',
    'https://us-docker.pkg.dev/v2/project/?x=1',
    'https://us-docker.pkg.dev/v2/project/#x',
  ])
    assert.equal(parseRegistryUrl(text), undefined, text)
})
