import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRoute, parseTarget } from '../../src/registry-api/route.ts'
import { fc } from '../../testkit/property-runs.ts'

const SHA = `sha256:${'0a'.repeat(32)}`
const ID = '0a'.repeat(32)

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
    case 'push-tag':
    case 'delete-tag':
      return `${found.kind} ${found.name} ${found.tag}`
    case 'begin-upload':
      return `${found.kind} ${found.name}`
    case 'upload-state':
    case 'append-upload':
    case 'finish-upload':
    case 'cancel-upload':
      return `${found.kind} ${found.name} ${found.id}`
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
    ['/v2/a/blobs/uploads/', '405 UNSUPPORTED'],
    ['/v2/a/blobs/uploads', '405 UNSUPPORTED'],
    ['/v2/blobs/uploads/', '404 UNSUPPORTED'],
    ['/v2/uploads/', '404 UNSUPPORTED'],
    ['/v2/a/blobs/sha256:0a', '400 DIGEST_INVALID'],
    ['/v2/a/blobs/uploads/../x', '404 UNSUPPORTED'],
    ['/v2/a/blobs/uploads/..', '404 BLOB_UPLOAD_UNKNOWN'],
    ['/v2/a/blobs/uploads/0a', '404 BLOB_UPLOAD_UNKNOWN'],
    [`/v2/a/blobs/uploads/${ID.toUpperCase()}`, '404 BLOB_UPLOAD_UNKNOWN'],
    [`/v2/a/blobs/uploads/${ID}/`, '404 UNSUPPORTED'],
    [`/v2/a/blobs/uploads/${ID}`, `upload-state a ${ID}`],
    [`/v2/a/blobs/uploads/blobs/uploads/${ID}`, `upload-state a/blobs/uploads ${ID}`],
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

test('each method of a path is a route of its own, and all others are told which there are', () => {
  const table: [path: string, routes: Record<string, string>][] = [
    ['/v2/a/b/blobs/uploads/', { POST: 'begin-upload a/b' }],
    ['/v2/a/b/blobs/uploads', { POST: 'begin-upload a/b' }],
    [
      `/v2/a/blobs/uploads/${ID}`,
      {
        GET: `upload-state a ${ID}`,
        HEAD: `upload-state a ${ID}`,
        PATCH: `append-upload a ${ID}`,
        PUT: `finish-upload a ${ID}`,
        DELETE: `cancel-upload a ${ID}`,
      },
    ],
    [`/v2/a/blobs/${SHA}`, { GET: `blob a ${SHA}`, HEAD: `blob a ${SHA}`, DELETE: `delete-blob a ${SHA}` }],
    [
      `/v2/a/manifests/${SHA}`,
      {
        GET: `manifest a ${SHA}`,
        HEAD: `manifest a ${SHA}`,
        PUT: `push-manifest a ${SHA}`,
        DELETE: `delete-manifest a ${SHA}`,
      },
    ],
    [
      '/v2/a/manifests/v1',
      { GET: 'tagged a v1', HEAD: 'tagged a v1', PUT: 'push-tag a v1', DELETE: 'delete-tag a v1' },
    ],
    ['/v2/a/tags/list', { GET: 'tags a', HEAD: 'tags a' }],
    [`/v2/a/referrers/${SHA}`, { GET: `referrers a ${SHA}`, HEAD: `referrers a ${SHA}` }],
    ['/v2/_catalog', { GET: 'catalog', HEAD: 'catalog' }],
    ['/v2/', { GET: 'base', HEAD: 'base' }],
  ]
  for (const [path, routes] of table) {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']) {
      const expected = routes[method] ?? '405 UNSUPPORTED'
      assert.equal(describeRoute(path, method), expected, `${method} ${path}`)
      const found = parseRoute(method, path)
      if (found.kind !== 'refused') continue
      assert.deepEqual(found.allow?.split(', '), Object.keys(routes), `${method} ${path}`)
    }
  }
})
