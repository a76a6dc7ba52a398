import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseRoute, parseTarget } from '../../src/registry-api/route.ts'

const SHA = `sha256:${'0a'.repeat(32)}`

function describeRoute(path: string, method = 'GET'): string {
  const found = parseRoute(method, path)
  switch (found.kind) {
    case 'refused':
      return `${found.status} ${found.code}`
    case 'tagged':
      return `tagged ${found.name} ${found.tag}`
    case 'base':
    case 'catalog':
      return found.kind
    case 'tags':
      return `tags ${found.name}`
    default:
      return `${found.kind} ${found.name} ${found.digest}`
  }
}

test('paths are parsed from the right', () => {
  const table: [path: string, expected: string][] = [
    ['/v2', 'base'],
    ['/v2/', 'base'],
    ['/v2/_catalog', 'catalog'],
    ['/v2/a/manifests/latest', 'tagged a latest'],
    ['/v2/a/b/c/manifests/v1', 'tagged a/b/c v1'],
    [`/v2/a/manifests/${SHA}`, `manifest a ${SHA}`],
    [`/v2/a/blobs/${SHA}`, `blob a ${SHA}`],
    [`/v2/a/blobs/sha256%3A${'0a'.repeat(32)}`, `blob a ${SHA}`],
    [`/v2/manifests/manifests/blobs`, 'tagged manifests blobs'],
    [`/v2/blobs/manifests/blobs/${SHA}`, `blob blobs/manifests ${SHA}`],
    ['/v2/a/tags/list', 'tags a'],
    ['/v2/tags/list/tags/list', 'tags tags/list'],
    [`/v2/a/referrers/${SHA}`, `referrers a ${SHA}`],
    ['/', '404 UNSUPPORTED'],
    ['', '404 UNSUPPORTED'],
    ['*', '404 UNSUPPORTED'],
    ['/v1/', '404 UNSUPPORTED'],
    ['/v2x', '404 UNSUPPORTED'],
    ['/v2/a', '404 UNSUPPORTED'],
    ['/v2/a/b', '404 UNSUPPORTED'],
    ['/v2/a/tags/other', '404 UNSUPPORTED'],
    ['/v2/a/blobs/uploads/', '404 UNSUPPORTED'],
    ['/v2/a/blobs/uploads', '400 DIGEST_INVALID'],
    ['/v2/a/blobs/sha256:0a', '400 DIGEST_INVALID'],
    [`/v2/a/blobs/${SHA.toUpperCase()}`, '400 DIGEST_INVALID'],
    ['/v2/a/manifests/sha256:0a', '400 DIGEST_INVALID'],
    ['/v2/a/referrers/latest', '400 DIGEST_INVALID'],
    ['/v2/a/manifests/.INVALID_MANIFEST_NAME', '404 MANIFEST_UNKNOWN'],
    ['/v2/a/manifests/', '404 MANIFEST_UNKNOWN'],
    ['/v2/a/manifests/%', '400 NAME_INVALID'],
    ['/v2/a/manifests/%ff', '400 NAME_INVALID'],
    ['/v2/a/manifests/a%00', '404 MANIFEST_UNKNOWN'],
    ['/v2/manifests/latest', 'tagged  latest'],
    ['/v2/../v2/a/manifests/latest', 'tagged ../v2/a latest'],
  ]
  for (const [path, expected] of table) assert.equal(describeRoute(path), expected, path)
})

test('methods other than GET and HEAD are refused on every path under /v2/', () => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'BREW']) {
    for (const path of ['/v2/', '/v2/a/blobs/uploads/', '/v2/a/manifests/latest', '/v2/x']) {
      assert.equal(describeRoute(path, method), '405 UNSUPPORTED')
    }
  }
  assert.equal(describeRoute('/v2/a/manifests/latest', 'HEAD'), 'tagged a latest')
})

test('a request target may have a query, and a scheme and authority before the path', () => {
  assert.deepEqual(parseTarget('/v2/a?ns=b?c'), { path: '/v2/a', query: 'ns=b?c' })
  assert.deepEqual(parseTarget('/v2/'), { path: '/v2/', query: '' })
  assert.deepEqual(parseTarget('http://host:1/v2/a?n=1'), { path: '/v2/a', query: 'n=1' })
  assert.deepEqual(parseTarget('http://host'), { path: '/', query: '' })
  assert.deepEqual(parseTarget('*'), { path: '*', query: '' })
})

test('parsing never throws, whatever the target', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseRoute('GET', parseTarget(text).path)
      parseRoute('GET', `/v2/${text}`)
    }),
  )
})

test('a repository name is parsed as it was sent', () => {
  const part = fc.constantFrom(
    'a',
    'manifests',
    'blobs',
    'tags',
    'list',
    'referrers',
    'v2',
    '_catalog',
    'proxy',
  )
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
      const name = parts.join('/')
      assert.equal(describeRoute(`/v2/${name}/blobs/${SHA}`), `blob ${name} ${SHA}`)
      assert.equal(describeRoute(`/v2/${name}/tags/list`), `tags ${name}`)
    }),
  )
})
