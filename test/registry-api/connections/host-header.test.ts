import assert from 'node:assert/strict'
import { isIPv4, isIPv6 } from 'node:net'
import { test } from 'node:test'
import { authorityProblem, hostHeaderProblem } from '../../../src/registry-api/connections/host-header.ts'
import { fc } from '../../../testkit/property-runs.ts'
import { errorCodeOf, requestHttp1, requestHttp2, sendRaw, startTestServer } from '../test-server.ts'

const VALID = [
  '',
  'x',
  'X.example',
  'x.example:5050',
  'x:',
  ':80',
  '127.0.0.1:5050',
  '[::1]',
  '[::1]:5050',
  '[::ffff:127.0.0.1]',
  '[2001:DB8::1]:',
  '[v1.a:b]',
  'under_score',
  '-._~',
  "!$&'()*+,;=",
  '%41%c3%A9',
]
const INVALID = [
  'a b',
  'a\tb',
  'a/b',
  'http://a',
  'user@a',
  'user:password@a',
  'a:b',
  'a:80:80',
  'a:-1',
  'a:８０',
  '::1',
  '[::1',
  '[::1]x',
  '[::1]x:80',
  '[]',
  '[x]',
  '[1.2.3.4]',
  '[::1%25eth0]',
  '[::1%eth0]',
  '[::1]]',
  '[v.a]',
  '[vg.a]',
  '[v1.]',
  '[v1.a/b]',
  '%',
  '%4',
  '%4g',
  'a%zz',
  'é',
  'a\\b',
  'a"b',
  'a?b',
  'a#b',
  'a<b',
]

test('a valid Host is a host name or IP address with or without a port, or empty', () => {
  for (const host of VALID) assert.equal(hostHeaderProblem(['Host', host], 1), undefined, host)
  for (const host of INVALID)
    assert.match(hostHeaderProblem(['Host', host], 1) ?? '', /host of the request is invalid/, host)
})

test('exactly one Host header is required, in any case and position; only HTTP/1.0 may omit it', () => {
  assert.equal(hostHeaderProblem(['Accept', '*/*', 'hOSt', 'x', 'Via', 'y'], 1), undefined)
  assert.equal(hostHeaderProblem(['Accept', 'Host', 'X-Host', 'a b', 'Hosts', 'a b'], 0), undefined)
  assert.match(hostHeaderProblem([], 1) ?? '', /no Host/)
  assert.match(hostHeaderProblem(['Accept', 'Host'], 1) ?? '', /no Host/)
  assert.equal(hostHeaderProblem([], 0), undefined)
  for (const minor of [0, 1]) {
    assert.match(
      hostHeaderProblem(['Host', 'x', 'Accept', '*/*', 'host', 'x'], minor) ?? '',
      /more than one Host/,
    )
    assert.match(hostHeaderProblem(['Host', '', 'HOST', ''], minor) ?? '', /more than one Host/)
    assert.match(hostHeaderProblem(['Host', 'a b'], minor) ?? '', /host of the request is invalid/)
  }
})

test('every IP address and every name that RFC 3986 allows is a valid host', () => {
  const letter = fc.constantFrom(...`abzABZ019-._~!$&'()*+,;=`, '%00', '%aF')
  const name = fc.array(letter, { maxLength: 300 }).map((letters) => letters.join(''))
  const host = fc.oneof(
    name,
    fc.ipV4(),
    fc.ipV6().map((address) => `[${address}]`),
  )
  const port = fc.oneof(
    fc.constant(''),
    fc.stringMatching(/^\d{0,5}$/).map((digits) => `:${digits}`),
  )
  fc.assert(
    fc.property(host, port, (name, port) => {
      assert.equal(hostHeaderProblem(['Host', name + port], 1), undefined)
    }),
  )
})

test('every text that RFC 3986 does not allow is an invalid host', () => {
  const allowed = /^(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*(?::\d*)?$/i
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      const bracket = /^\[([^\]]*)\](?::\d*)?$/.exec(text)?.[1]
      const expected = bracket === undefined ? allowed.test(text) : isIPv6(bracket) && !bracket.includes('%')
      if (bracket !== undefined && /^v/i.test(bracket)) return
      assert.equal(hostHeaderProblem(['Host', text], 1) === undefined, expected)
    }),
  )
  fc.assert(
    fc.property(fc.string({ maxLength: 45 }), (text) => {
      const isHost = hostHeaderProblem(['Host', `[${text}]`], 1) === undefined
      if (isHost) assert.ok(isIPv6(text) || /^v[\da-f]+\./i.test(text))
      assert.ok(!(isHost && isIPv4(text)))
    }),
  )
})

test('in HTTP/2 :authority and the Host header must both be valid and equal', () => {
  const of = (authority: string | undefined, host?: string, scheme = 'http') =>
    authorityProblem([
      ...[':method', 'GET', ':scheme', scheme],
      ...(authority === undefined ? [] : [':authority', authority]),
      ...(host === undefined ? [] : ['host', host]),
    ])
  for (const host of VALID) {
    assert.equal(of(host), undefined, host)
    assert.equal(of(undefined, host), undefined, host)
    assert.equal(of(host, host), undefined, host)
  }
  for (const host of INVALID) {
    assert.match(of(host) ?? '', /host of the request is invalid/, host)
    assert.match(of(undefined, host) ?? '', /host of the request is invalid/, host)
  }
  assert.equal(of(undefined), undefined)
  assert.equal(of('x.example', 'X.EXAMPLE'), undefined)
  assert.equal(of('x', 'x:'), undefined)
  assert.equal(of('x', 'x:80'), undefined)
  assert.equal(of('x:443', 'x', 'https'), undefined)
  assert.equal(of('[::1]:80', '[::1]'), undefined)
  for (const [authority, host, scheme] of [
    ['x', 'y', 'http'],
    ['x', 'x:443', 'http'],
    ['x', 'x:80', 'https'],
    ['x:1', 'x:2', 'http'],
    ['x', '', 'http'],
    ['[::1]', '[::2]', 'http'],
  ] as const) {
    assert.match(of(authority, host, scheme) ?? '', /does not match/, `${authority} ${host}`)
  }
  assert.match(authorityProblem(['host', 'x', 'host', 'x']) ?? '', /more than one Host/)
})

test('a request with an invalid Host gets a 400 with an OCI error, and its connection is closed', async (t) => {
  const { port } = await startTestServer(t)
  const nextRequest = 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n'
  const manyHeaders = 'X:\r\n'.repeat(3000)
  for (const bytes of [
    'GET /v2/ HTTP/1.1\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nhost: y\r\n\r\n',
    'GET /v2/ HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n',
    `GET /v2/ HTTP/1.1\r\nHost: x\r\n${manyHeaders}Host: y\r\n\r\n`,
    'GET /v2/ HTTP/1.1\r\nHost: a b\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: user@x\r\n\r\n',
    'GET http://x/v2/ HTTP/1.1\r\nHost: http://x\r\n\r\n',
    'HEAD /v2/ HTTP/1.1\r\nHost: x/y\r\n\r\n',
  ]) {
    const text = await sendRaw(port, bytes + nextRequest)
    assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/)
    assert.match(text, /\r\nConnection: close\r\n/)
    assert.match(text, /\r\nContent-Type: application\/json\r\n/)
    if (bytes.startsWith('GET'))
      assert.match(text, /\{"errors":\[\{"code":"UNSUPPORTED","message":"[^"]*[Hh]ost[^"]*"\}\]\}$/)
    assert.equal(text.lastIndexOf('HTTP/1.1 '), 0)
  }
})

test('a request with a valid Host is answered, in origin form and in absolute form', async (t) => {
  const { port } = await startTestServer(t)
  for (const bytes of [
    'GET /v2/ HTTP/1.1\r\nHost: x:5050\r\nConnection: close\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost:  [::1]:5050 \r\nConnection: close\r\n\r\n',
    'GET http://y/v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'GET http://y/v2/ HTTP/1.0\r\n\r\n',
    'GET /v2/ HTTP/1.0\r\n\r\n',
    'GET /v2/ HTTP/1.0\r\nHost: x\r\n\r\n',
  ]) {
    assert.match(await sendRaw(port, bytes), /^HTTP\/1\.1 200 OK\r\n/, bytes)
  }
  assert.equal((await requestHttp1(port, '/v2/', { headers: { host: 'x' } })).status, 200)
})

test('over HTTP/2 an invalid :authority gets a 400 with an OCI error, and a valid one is answered', async (t) => {
  const { port } = await startTestServer(t)
  // Some versions of Node reset such a stream before the server sees the request.
  const user = await requestHttp2(port, '/v2/', { headers: { ':authority': 'user@x' } })
  assert.ok(user.status === 400 || (user.status === 0 && user.cut), `${user.status}`)
  for (const headers of [
    { ':authority': 'x:port' },
    { ':authority': '[::1' },
    { ':authority': 'x', host: 'y' },
  ]) {
    const got = await requestHttp2(port, '/v2/', { headers })
    assert.equal(got.status, 400, JSON.stringify(headers))
    assert.equal(errorCodeOf(got), 'UNSUPPORTED')
  }
  for (const headers of [{ ':authority': 'x:5050' }, { ':authority': 'x', host: 'X:80' }]) {
    assert.equal((await requestHttp2(port, '/v2/', { headers })).status, 200)
  }
})
