import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import * as v from 'valibot'
import { PATHS } from '../../src/admin-api/route.ts'
import { ErrorReport } from '../../src/schemas/units.ts'
import { folder } from '../store/folder.ts'
import { AdminFixture, type RequestOptions, sendRaw, sendRequest } from './admin-fixture.ts'

const fixture = new AdminFixture()

const READS = [
  '/metrics',
  '/healthz',
  '/readyz',
  '/api/v1/status',
  '/api/v1/swarm',
  '/api/v1/pulls',
  '/api/v1/history',
  '/api/v1/blobs',
  '/api/v1/events',
  '/api/v1/why',
]
const SUBJECTS = '{"subjects": ["alpine:3"]}'
/** Each command, its methods, a field of its body that is a number or true or false, and an example of a body. */
const COMMANDS = [
  ['POST', '/api/v1/gc', 'toBytes', '{"toBytes": 0}', 'toBytes'],
  ['POST', '/api/v1/hosted/gc', 'isDryRun', '{"isDryRun": true}', 'isDryRun'],
  ['POST', '/api/v1/verify', 'bytesPerSecond', '{"bytesPerSecond": 104857600}', 'bytesPerSecond'],
  [
    'POST',
    '/api/v1/warm',
    'referrers',
    '{"images": ["alpine:3"]}',
    'images, platforms, referrers, pin, allNodes, waitMs',
  ],
  ['POST', '/api/v1/pins', 'subjects', SUBJECTS, 'subjects'],
  ['DELETE', '/api/v1/pins', 'subjects', SUBJECTS, 'subjects'],
  ['DELETE', '/api/v1/images', 'force', SUBJECTS, 'subjects, force'],
] as const

const JSON_TYPE = { 'content-type': 'application/json' }

/** The status and the sentence of an answer, which has the form of all errors. */
async function errorOf(
  port: number,
  path: string,
  { headers = JSON_TYPE, ...options }: RequestOptions,
): Promise<readonly [status: number, sentence: string]> {
  const got = await sendRequest(port, path, { headers, ...options })
  assert.equal(got.headers['content-type'], 'application/json', path)
  const body = JSON.parse(got.body)
  assert.deepEqual(Object.keys(body), ['error'], path)
  const { error } = v.parse(ErrorReport, body)
  // What is wrong, and then what to do.
  assert.match(error, /^[^\n]{8,}[;:] [^\n]{8,}$/, path)
  return [got.status, error]
}

test('the table has every path of the API', () => {
  const listed = [...READS, ...COMMANDS.map(([, path]) => path), '/api/v1/notifications']
  assert.deepEqual([...new Set(listed)].sort(), PATHS)
})

test('a wrong method is told with the right ones', async () => {
  const port = await fixture.startServer()
  for (const path of READS)
    assert.deepEqual(await errorOf(port, path, { method: 'PUT' }), [
      405,
      'this path does not take PUT; use GET, HEAD',
    ])
  const table = [
    ['/api/v1/gc', 'GET', 'POST'],
    ['/api/v1/notifications', 'GET', 'POST'],
    ['/api/v1/hosted/gc', 'GET', 'POST'],
    ['/api/v1/verify', 'DELETE', 'POST'],
    ['/api/v1/warm', 'GET', 'POST'],
    ['/api/v1/pins', 'GET', 'POST, DELETE'],
    ['/api/v1/images', 'POST', 'GET, HEAD, DELETE'],
  ] as const
  for (const [path, method, allowed] of table) {
    const expected = `this path does not take ${method}; use ${allowed}`
    assert.deepEqual(await errorOf(port, path, { method }), [405, expected])
  }
})

test('a path that does not exist is told with those that do', async () => {
  const port = await fixture.startServer()
  for (const path of ['/nothing', '/api/v1', '/api/v2/status']) {
    const [status, sentence] = await errorOf(port, path, {})
    assert.equal(status, 404)
    for (const known of PATHS) assert.ok(sentence.includes(known), sentence)
  }
})

test('a body that is not JSON, or not an object, is told with an example of one that is right', async () => {
  const port = await fixture.startServer()
  for (const [method, path, , example] of COMMANDS) {
    for (const [body, problem] of [
      ['{', 'is not valid JSON'],
      ['[]', 'is a list'],
      ['"text"', 'is a text'],
      ['null', 'is null'],
      ['7', 'is a number'],
    ] as const) {
      const expected = `the request body ${problem}; send an object such as ${example}`
      assert.deepEqual(await errorOf(port, path, { method, body }), [400, expected], `${method} ${path}`)
    }
    await errorOf(port, path, { method, body: 'x', headers: { 'content-type': 'text/plain' } })
    await errorOf(port, path, { method, body: '{}', headers: { ...JSON_TYPE, origin: 'http://x.test' } })
  }
})

test('an example of a body is one that is accepted', async () => {
  const port = await fixture.startServer()
  for (const [method, path, , body] of COMMANDS) {
    const { status } = await sendRequest(port, path, { method, body, headers: JSON_TYPE })
    assert.ok(status === 200 || status === 404, `${method} ${path}: ${status}`)
  }
})

test('an unknown field is told with the known ones, and a wrong value with what is expected', async () => {
  const port = await fixture.startServer()
  for (const [method, path, field, example, known] of COMMANDS) {
    const right = JSON.parse(example)
    const unknown = JSON.stringify({ ...right, colour: 1 })
    assert.deepEqual(await errorOf(port, path, { method, body: unknown }), [
      400,
      `the request body has the unknown field "colour"; known are ${known}`,
    ])
    const wrong = await errorOf(port, path, { method, body: JSON.stringify({ ...right, [field]: 'soon' }) })
    assert.equal(wrong[0], 400)
    assert.match(wrong[1], new RegExp(`^${field} in the request body is a text of length 4; expected `))
  }
})

test('each limit of a value is told', async () => {
  const port = await fixture.startServer()
  for (const [path, body, expected] of [
    ['/api/v1/gc', { toBytes: -1 }, 'toBytes in the request body is -1; expected 0 or more'],
    ['/api/v1/gc', { toBytes: 1.5 }, 'toBytes in the request body is 1.5; expected a whole number'],
    ['/api/v1/gc', { toBytes: null }, 'toBytes in the request body is null; expected a number'],
    ['/api/v1/hosted/gc', { isDryRun: 1 }, 'isDryRun in the request body is 1; expected true or false'],
    [
      '/api/v1/pins',
      {},
      'the request body lacks subjects; send an object such as {"subjects": ["alpine:3"]}',
    ],
    [
      '/api/v1/pins',
      { subjects: [] },
      'subjects in the request body is a list of length 0; expected at least one item',
    ],
    ['/api/v1/pins', { subjects: [{}] }, 'subjects.0 in the request body is an object; expected a text'],
    [
      '/api/v1/pins',
      { subjects: ['x'.repeat(601)] },
      'subjects.0 in the request body is a text of length 601; expected at most 600 characters',
    ],
    [
      '/api/v1/warm',
      { images: ['a'], waitMs: 3_600_001 },
      'waitMs in the request body is 3600001; expected 3600000 or less',
    ],
  ] as const) {
    const got = await errorOf(port, path, { method: 'POST', body: JSON.stringify(body) })
    assert.deepEqual(got, [400, expected])
  }
  const large = { method: 'POST', body: JSON.stringify({ subjects: ['x'.repeat(300_000)] }) }
  assert.equal((await errorOf(port, '/api/v1/pins', large))[0], 413)
})

test('a name that is not stored, and one that is none, are told with what to do', async () => {
  const port = await fixture.startServer()
  for (const [method, path] of [
    ['POST', '/api/v1/pins'],
    ['DELETE', '/api/v1/pins'],
    ['DELETE', '/api/v1/images'],
  ] as const) {
    assert.deepEqual(await errorOf(port, path, { method, body: SUBJECTS }), [
      404,
      'alpine:3 is not stored on this node; `agent ls` lists the stored images',
    ])
    const [status] = await errorOf(port, path, { method, body: '{"subjects": ["UPPER"]}' })
    assert.equal(status, 400)
  }
  for (const query of [
    '',
    '?subject=',
    '?subject=UPPER',
    '?subject=sha256:12',
    `?subject=${'a'.repeat(999)}`,
  ])
    assert.equal((await errorOf(port, `/api/v1/why${query}`, {}))[0], 400)
})

test('a missing or wrong token is told on every path that needs one', async (t) => {
  const path = await folder(t)
  const auth = { tokenFile: join(path, 'token'), readTokenFile: join(path, 'read') }
  await writeFile(auth.tokenFile, 'a-token-for-everything')
  await writeFile(auth.readTokenFile, 'a-token-for-reading-only')
  const port = await fixture.startServer(fixture.reporter, { auth })
  const authorized = (token: string) => ({ headers: { ...JSON_TYPE, authorization: `Bearer ${token}` } })
  const needy = READS.filter((one) => !['/healthz', '/readyz'].includes(one)).map(
    (one) => ['GET', one] as const,
  )
  for (const [method, one] of [...needy, ...COMMANDS.map(([of, at]) => [of, at] as const)]) {
    const [missing, needs] = await errorOf(port, one, { method })
    assert.equal(missing, 401)
    assert.match(needs, /^this needs a token; .*--admin-token-file.*Authorization: Bearer TOKEN$/)
    const [wrong, sentence] = await errorOf(port, one, { method, ...authorized('a-wrong-token-of-mine') })
    assert.equal(wrong, 401)
    assert.match(sentence, /^the token is wrong; /)
  }
  for (const [method, one] of COMMANDS) {
    const [status] = await errorOf(port, one, { method, ...authorized('a-token-for-reading-only') })
    assert.equal(status, 403)
  }
})

test('what is no request, and a request to another host, get a sentence in the same form', async () => {
  const port = await fixture.startServer()
  assert.equal((await errorOf(port, '/api/v1/status', { host: 'evil.example' }))[0], 403)
  for (const text of [
    'NONSENSE\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
  ]) {
    const [, body = ''] = (await sendRaw(port, text)).split('\r\n\r\n')
    assert.match(v.parse(ErrorReport, JSON.parse(body)).error, /; send /)
  }
})
