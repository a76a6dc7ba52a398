import assert from 'node:assert/strict'
import { isIPv4, isIPv6 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { authorityProblem, hostProblem } from '../../../src/registry-api/connections/host.ts'
import { ask, askHttp2, codeOf, openDoor, raw } from '../front-door.ts'

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

test('a Host is a host with or without a port, or empty', () => {
  for (const host of VALID) assert.equal(hostProblem(['Host', host], 1), undefined, host)
  for (const host of INVALID) assert.match(hostProblem(['Host', host], 1) ?? '', /not a host/, host)
})

test('there is one Host, whatever its case and wherever it stands; only HTTP/1.0 needs none', () => {
  assert.equal(hostProblem(['Accept', '*/*', 'hOSt', 'x', 'Via', 'y'], 1), undefined)
  assert.equal(hostProblem(['Accept', 'Host', 'X-Host', 'a b', 'Hosts', 'a b'], 0), undefined)
  assert.match(hostProblem([], 1) ?? '', /no Host/)
  assert.match(hostProblem(['Accept', 'Host'], 1) ?? '', /no Host/)
  assert.equal(hostProblem([], 0), undefined)
  for (const minor of [0, 1]) {
    assert.match(hostProblem(['Host', 'x', 'Accept', '*/*', 'host', 'x'], minor) ?? '', /more than one Host/)
    assert.match(hostProblem(['Host', '', 'HOST', ''], minor) ?? '', /more than one Host/)
    assert.match(hostProblem(['Host', 'a b'], minor) ?? '', /not a host/)
  }
})

test('every address and every name that the grammar allows is a host', () => {
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
      assert.equal(hostProblem(['Host', name + port], 1), undefined)
    }),
  )
})

test('no character makes a host that the grammar does not allow there', () => {
  const allowed = /^(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*(?::\d*)?$/i
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      const bracket = /^\[([^\]]*)\](?::\d*)?$/.exec(text)?.[1]
      const expected = bracket === undefined ? allowed.test(text) : isIPv6(bracket) && !bracket.includes('%')
      if (bracket !== undefined && /^v/i.test(bracket)) return
      assert.equal(hostProblem(['Host', text], 1) === undefined, expected)
    }),
  )
  fc.assert(
    fc.property(fc.string({ maxLength: 45 }), (text) => {
      const isHost = hostProblem(['Host', `[${text}]`], 1) === undefined
      if (isHost) assert.ok(isIPv6(text) || /^v[\da-f]+\./i.test(text))
      assert.ok(!(isHost && isIPv4(text)))
    }),
  )
})

test('in HTTP/2 the authority and the Host header are hosts, and the same one', () => {
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
    assert.match(of(host) ?? '', /not a host/, host)
    assert.match(of(undefined, host) ?? '', /not a host/, host)
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
    assert.match(of(authority, host, scheme) ?? '', /do not name the same host/, `${authority} ${host}`)
  }
  assert.match(authorityProblem(['host', 'x', 'host', 'x']) ?? '', /more than one Host/)
})

test('a request whose Host is wrong gets a clear 400, and its connection is closed', async (t) => {
  const { port } = await openDoor(t)
  const next = 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n'
  const many = 'X:\r\n'.repeat(3000)
  for (const bytes of [
    'GET /v2/ HTTP/1.1\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nhost: y\r\n\r\n',
    'GET /v2/ HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n',
    `GET /v2/ HTTP/1.1\r\nHost: x\r\n${many}Host: y\r\n\r\n`,
    'GET /v2/ HTTP/1.1\r\nHost: a b\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: user@x\r\n\r\n',
    'GET http://x/v2/ HTTP/1.1\r\nHost: http://x\r\n\r\n',
    'HEAD /v2/ HTTP/1.1\r\nHost: x/y\r\n\r\n',
  ]) {
    const text = await raw(port, bytes + next)
    assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/)
    assert.match(text, /\r\nConnection: close\r\n/)
    assert.match(text, /\r\nContent-Type: application\/json\r\n/)
    if (bytes.startsWith('GET'))
      assert.match(text, /\{"errors":\[\{"code":"UNSUPPORTED","message":"[^"]*[Hh]ost[^"]*"\}\]\}$/)
    assert.equal(text.lastIndexOf('HTTP/1.1 '), 0)
  }
})

test('a request whose Host is right is answered, in every form of its target', async (t) => {
  const { port } = await openDoor(t)
  for (const bytes of [
    'GET /v2/ HTTP/1.1\r\nHost: x:5050\r\nConnection: close\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost:  [::1]:5050 \r\nConnection: close\r\n\r\n',
    'GET http://y/v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'GET http://y/v2/ HTTP/1.0\r\n\r\n',
    'GET /v2/ HTTP/1.0\r\n\r\n',
    'GET /v2/ HTTP/1.0\r\nHost: x\r\n\r\n',
  ]) {
    assert.match(await raw(port, bytes), /^HTTP\/1\.1 200 OK\r\n/, bytes)
  }
  assert.equal((await ask(port, '/v2/', { headers: { host: 'x' } })).status, 200)
})

test('over HTTP/2 a wrong authority gets a clear 400, and the right one is answered', async (t) => {
  const { port } = await openDoor(t)
  // Some versions of Node reset such a stream themselves, before anybody here sees it.
  const user = await askHttp2(port, '/v2/', { headers: { ':authority': 'user@x' } })
  assert.ok(user.status === 400 || (user.status === 0 && user.cut), `${user.status}`)
  for (const headers of [
    { ':authority': 'x:port' },
    { ':authority': '[::1' },
    { ':authority': 'x', host: 'y' },
  ]) {
    const got = await askHttp2(port, '/v2/', { headers })
    assert.equal(got.status, 400, JSON.stringify(headers))
    assert.equal(codeOf(got), 'UNSUPPORTED')
  }
  for (const headers of [{ ':authority': 'x:5050' }, { ':authority': 'x', host: 'X:80' }]) {
    assert.equal((await askHttp2(port, '/v2/', { headers })).status, 200)
  }
})
