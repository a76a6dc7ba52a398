import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { subscribe } from '../../../src/observe/events.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { Exchange } from '../../../src/upstream/http/exchange.ts'
import { Transport } from '../../../src/upstream/http/transport.ts'
import { type AddressScope, ANY_SCOPE } from '../../../src/upstream/options/address-scope.ts'
import type { Deadlines } from '../../../src/upstream/options/options.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'

/** Nobody waits for so long: what is tested here ends by itself. */
const PATIENT = { connectMs: 60_000, headerMs: 60_000, tokenMs: 60_000 }
/** For a server that never answers. */
const IMPATIENT = { ...PATIENT, headerMs: 100 }
const BYTES = randomBytes(3_000_000)
const ALL = { skip: 0, limit: Number.POSITIVE_INFINITY }

interface Lab {
  readonly server: FaultyUpstream
  readonly exchange: Exchange
  readonly digest: string
  get(options?: {
    signal?: AbortSignal
    scopeLimit?: AddressScope
    url?: URL
    headers?: Record<string, string>
  }): ReturnType<Exchange>
}

async function lab(
  t: TestContext,
  name: 'small' | 'bulk',
  tls: boolean,
  deadlines: Deadlines = PATIENT,
): Promise<Lab> {
  const server = await startFaultyUpstream({ tls })
  t.after(() => server.close())
  let caFile: string | undefined
  if (server.certificates !== undefined) {
    const folder = await mkdtemp(join(tmpdir(), 'leat-exchange-'))
    t.after(() => rm(folder, { recursive: true }))
    caFile = join(folder, 'ca.pem')
    await writeFile(caFile, server.certificates.ca)
  }
  const transport = new Transport({
    caFile,
    acceptInvalidCerts: false,
    proxies: undefined,
    lookup: undefined,
    deadlines,
  })
  t.after(() => transport.close())
  const exchange = transport[name]
  const digest = server.addBlob(BYTES)
  const never = new AbortController().signal
  return {
    server,
    exchange,
    digest,
    get: ({
      signal = never,
      scopeLimit = ANY_SCOPE,
      url = new URL(`${server.url}/v2/a/blobs/${digest}`),
      headers = {},
    } = {}) => exchange({ method: 'GET', url, headers, kind: 'blob', scopeLimit, signal }),
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  createHash('sha256').update(a).digest('hex') === createHash('sha256').update(b).digest('hex')

const isFailure =
  (code: string, message = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof Failure, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }

/** What is made known of answers of this server; undefined is a lack of one. */
function statusesHeard(t: TestContext, server: FaultyUpstream): (number | undefined)[] {
  const heard: (number | undefined)[] = []
  t.after(subscribe('upstream.answered', ({ host, status }) => host === server.host && heard.push(status)))
  return heard
}

for (const [name, tls] of [
  ['small', false],
  ['small', true],
  ['bulk', false],
  ['bulk', true],
] as const) {
  const who = `${name === 'small' ? 'undici' : 'the wire'}${tls ? ' over TLS' : ''}`

  test(`${who}: brings a body whole`, async (t) => {
    const { get } = await lab(t, name, tls)
    const reply = await get()
    assert.equal(reply.status, 200)
    assert.equal(reply.body.length, BYTES.length)
    const intake = new MemoryIntake()
    await reply.body.readInto(intake, ALL)
    assert.ok(same(intake.bytes, BYTES))
  })

  test(`${who}: brings it whole into an intake that says stop again and again`, async (t) => {
    const { get } = await lab(t, name, tls)
    const intake = new MemoryIntake({ window: 10_007, room: 50_000 })
    const poured = (await get()).body.readInto(intake, ALL)
    let ended = false
    poured.finally(() => (ended = true)).catch(() => {})
    while (!ended) {
      await Promise.race([intake.full(), poured])
      const before = intake.position
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(intake.position, before, 'nothing is taken while it is full')
      intake.drain()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await poured
    assert.ok(same(intake.bytes, BYTES))
    assert.ok(intake.pauses > 40)
  })

  test(`${who}: skips what is known already`, async (t) => {
    const { get } = await lab(t, name, tls)
    const intake = new MemoryIntake({ start: BYTES.subarray(0, 1_234_567) })
    await (await get()).body.readInto(intake, { ...ALL, skip: 1_234_567 })
    assert.ok(same(intake.bytes, BYTES))
  })

  test(`${who}: an intake that fails ends it with the intake's own failure`, async (t) => {
    const { get } = await lab(t, name, tls)
    const intake = new MemoryIntake({ room: 50_000 })
    const poured = (await get()).body.readInto(intake, ALL)
    const outcome = assert.rejects(poured, isFailure('disk', /full/))
    await intake.full()
    intake.fail(new Failure('disk', 'the disk is full'))
    await outcome
  })

  test(`${who}: a body that is not poured within its limit is refused`, async (t) => {
    const { get } = await lab(t, name, tls)
    await assert.rejects(
      (await get()).body.readInto(new MemoryIntake(), { skip: 0, limit: 1000 }),
      isFailure('too-large'),
    )
  })

  for (const how of ['fin', 'rst'] as const) {
    test(`${who}: a body that breaks off (${how}) is a failure, and what came before it is kept`, async (t) => {
      const { get, server, digest } = await lab(t, name, tls)
      server.fault(digest, { dieAt: 1_000_000, how })
      const intake = new MemoryIntake()
      await assert.rejects((await get()).body.readInto(intake, ALL), isFailure('unavailable'))
      assert.ok(intake.position <= 1_000_000)
      assert.ok(same(intake.bytes, BYTES.subarray(0, intake.position)))
      if (how === 'fin') assert.equal(intake.position, 1_000_000)
    })
  }

  test(`${who}: a body shorter than declared is a failure`, async (t) => {
    const { get, server, digest } = await lab(t, name, tls)
    server.fault(digest, { lengthLie: 1000 })
    const intake = new MemoryIntake()
    await assert.rejects((await get()).body.readInto(intake, ALL), isFailure('unavailable'))
    assert.equal(intake.position, BYTES.length)
  })

  test(`${who}: a body of unknown length is brought whole`, async (t) => {
    const { get, server, digest } = await lab(t, name, tls)
    server.fault(digest, { chunked: true })
    for (let i = 0; i < 2; i += 1) {
      const reply = await get()
      assert.equal(reply.body.length, undefined)
      const intake = new MemoryIntake()
      await reply.body.readInto(intake, ALL)
      assert.ok(same(intake.bytes, BYTES))
    }
  })

  test(`${who}: a body of unknown length that breaks off is a failure`, async (t) => {
    const { get, server, digest } = await lab(t, name, tls)
    server.fault(digest, { chunked: true, dieAt: 500_000 })
    await assert.rejects((await get()).body.readInto(new MemoryIntake(), ALL), isFailure('unavailable'))
  })

  test(`${who}: an empty body is a body`, async (t) => {
    const { get, server } = await lab(t, name, tls)
    const digest = server.addBlob(new Uint8Array(0))
    const reply = await get({ url: new URL(`${server.url}/v2/a/blobs/${digest}`) })
    const intake = new MemoryIntake()
    await reply.body.readInto(intake, ALL)
    assert.equal(intake.position, 0)
  })

  test(`${who}: whoever leaves while there is no answer ends the request with his own reason`, async (t) => {
    const { get, server, digest } = await lab(t, name, tls)
    server.fault(digest, { silent: true })
    const controller = new AbortController()
    const reason = new Error('gone')
    const outcome = assert.rejects(get({ signal: controller.signal }), (error) => error === reason)
    await server.stalled(digest)
    controller.abort(reason)
    await outcome
  })

  test(`${who}: whoever leaves during the body ends it with his own reason`, async (t) => {
    const { get, server, digest } = await lab(t, name, tls)
    server.fault(digest, { stallAt: 100_000 })
    const controller = new AbortController()
    const reason = new Error('gone')
    const reply = await get({ signal: controller.signal })
    const outcome = assert.rejects(reply.body.readInto(new MemoryIntake(), ALL), (error) => error === reason)
    await server.stalled(digest)
    controller.abort(reason)
    await outcome
  })

  test(`${who}: whoever leaves while his intake is full ends it with his own reason`, async (t) => {
    const { get } = await lab(t, name, tls)
    const controller = new AbortController()
    const reason = new Error('gone')
    const intake = new MemoryIntake({ room: 50_000 })
    const reply = await get({ signal: controller.signal })
    const outcome = assert.rejects(reply.body.readInto(intake, ALL), (error) => error === reason)
    await intake.full()
    controller.abort(reason)
    await outcome
  })

  test(`${who}: a signal that is aborted already asks nothing`, async (t) => {
    const { get, server } = await lab(t, name, tls)
    await assert.rejects(get({ signal: AbortSignal.abort(new Error('gone')) }), /gone/)
    assert.equal(server.requests.length, 0)
  })

  test(`${who}: a refusal is an answer, whose body need not be read`, async (t) => {
    const { get, server, digest } = await lab(t, name, tls)
    server.fault(digest, { status: 404, body: 'x'.repeat(2000) })
    for (let i = 0; i < 3; i += 1) {
      const reply = await get()
      assert.equal(reply.status, 404)
      reply.body.dispose()
      reply.body.dispose()
    }
  })

  test(`${who}: one connection serves one request after another`, async (t) => {
    const { get, server } = await lab(t, name, tls)
    for (let i = 0; i < 4; i += 1) {
      await (await get()).body.readInto(new MemoryIntake(), ALL)
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.deepEqual(
      server.requests.map(({ connection }) => connection),
      [0, 0, 0, 0],
    )
  })

  test(`${who}: a host that refuses connections is a failure that names it`, async (t) => {
    const { get, server } = await lab(t, name, tls)
    await server.close()
    await assert.rejects(get(), (error) => {
      assert.ok(error instanceof Failure)
      assert.match(error.message, /ECONNREFUSED/)
      assert.equal(error.details.source, server.host)
      return error.code === 'unavailable'
    })
  })

  test(`${who}: a name that resolves to our own network is not reached from outside`, async (t) => {
    const { get, server } = await lab(t, name, tls)
    const url = new URL(`${server.url.replace('127.0.0.1', 'localhost')}/v2/?secret=1`)
    await assert.rejects(get({ url, scopeLimit: 'public' }), (error) => {
      assert.ok(error instanceof Failure)
      assert.match(error.message, /private/)
      assert.doesNotMatch(error.message, /secret/)
      return true
    })
    assert.equal(server.requests.length, 0)
  })

  test(`${who}: every answer is made known`, async (t) => {
    const { get, server, digest } = await lab(t, name, tls)
    const heard = statusesHeard(t, server)
    ;(await get()).body.dispose()
    server.fault(digest, { status: 503, times: 1 })
    ;(await get()).body.dispose()
    assert.deepEqual(heard, [200, 503])
  })

  test(`${who}: a server that never answers is a failure at the deadline, and is made known`, async (t) => {
    const { get, server, digest } = await lab(t, name, tls, IMPATIENT)
    const heard = statusesHeard(t, server)
    server.fault(digest, { silent: true })
    await assert.rejects(get(), isFailure('unavailable', /no answer within 100 ms/))
    assert.deepEqual(heard, [undefined])
  })

  test(`${who}: nothing is asked any more after closing`, async (t) => {
    const server = await startFaultyUpstream({ tls })
    t.after(() => server.close())
    const transport = new Transport({
      caFile: undefined,
      acceptInvalidCerts: true,
      proxies: undefined,
      lookup: undefined,
      deadlines: PATIENT,
    })
    const digest = server.addBlob(BYTES)
    server.fault(digest, { stallAt: 1000 })
    const reply = await transport[name]({
      method: 'GET',
      url: new URL(`${server.url}/v2/a/blobs/${digest}`),
      headers: {},
      kind: 'blob',
      scopeLimit: ANY_SCOPE,
      signal: new AbortController().signal,
    })
    const outcome = assert.rejects(reply.body.readInto(new MemoryIntake(), ALL), Failure)
    await server.stalled(digest)
    await transport.close()
    await outcome
  })
}

for (const name of ['small', 'bulk'] as const) {
  test(`${name}: a certificate that nobody vouches for is refused, unless that is allowed`, async (t) => {
    const server = await startFaultyUpstream({ tls: true })
    t.after(() => server.close())
    const digest = server.addBlob(BYTES)
    for (const acceptInvalidCerts of [false, true]) {
      const transport = new Transport({
        caFile: undefined,
        acceptInvalidCerts,
        proxies: undefined,
        lookup: undefined,
        deadlines: PATIENT,
      })
      t.after(() => transport.close())
      const asked = transport[name]({
        method: 'GET',
        url: new URL(`${server.url}/v2/a/blobs/${digest}`),
        headers: {},
        kind: 'blob',
        scopeLimit: ANY_SCOPE,
        signal: new AbortController().signal,
      })
      if (acceptInvalidCerts) (await asked).body.dispose()
      else await assert.rejects(asked, isFailure('unavailable', /CERT|SIGNATURE|ISSUER/))
    }
  })
}

test('a certificate authority that cannot be read is a failure that names the file, until it can', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-ca-'))
  t.after(() => rm(folder, { recursive: true }))
  const server = await startFaultyUpstream({ tls: true })
  t.after(() => server.close())
  const caFile = join(folder, 'late.pem')
  const transport = new Transport({
    caFile,
    acceptInvalidCerts: false,
    proxies: undefined,
    lookup: undefined,
    deadlines: PATIENT,
  })
  t.after(() => transport.close())
  const ping = () =>
    transport.small({
      method: 'GET',
      url: new URL(`${server.url}/v2/`),
      headers: {},
      kind: 'ping',
      scopeLimit: ANY_SCOPE,
      signal: new AbortController().signal,
    })
  await assert.rejects(ping(), isFailure('unavailable', /late\.pem/))
  await writeFile(caFile, server.certificates?.ca ?? '')
  const reply = await ping()
  assert.equal(reply.status, 200)
  reply.body.dispose()
})
