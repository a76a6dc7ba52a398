import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { subscribe } from '../../../src/observe/events.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { SendRequest } from '../../../src/upstream/http/messages.ts'
import { type AddressScope, ANY_SCOPE } from '../../../src/upstream/options/address-scope.ts'
import type { Deadlines } from '../../../src/upstream/options/options.ts'
import { Transport } from '../../../src/upstream/transport/transport.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'

/** Deadlines that do not pass within a test. */
const LONG_DEADLINES = { connectMs: 60_000, headerMs: 60_000, tokenMs: 60_000 }
/** The deadlines for a server that never answers. */
const SHORT_DEADLINES = { ...LONG_DEADLINES, headerMs: 100 }
const BYTES = randomBytes(3_000_000)
const ALL = { skip: 0, limit: Number.POSITIVE_INFINITY }

interface TransportWithServer {
  readonly server: FaultyUpstream
  readonly send: SendRequest
  readonly digest: string
  get(options?: {
    signal?: AbortSignal
    scopeLimit?: AddressScope
    url?: URL
    headers?: Record<string, string>
  }): ReturnType<SendRequest>
}

async function startTransport(
  t: TestContext,
  name: 'send' | 'sendForBlob',
  tls: boolean,
  deadlines: Deadlines = LONG_DEADLINES,
): Promise<TransportWithServer> {
  const server = await startFaultyUpstream({ tls })
  t.after(() => server.close())
  let caFile: string | undefined
  if (server.certificates !== undefined) {
    const folder = await mkdtemp(join(tmpdir(), 'leat-send-'))
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
  const send = transport[name]
  const digest = server.addBlob(BYTES)
  const never = new AbortController().signal
  return {
    server,
    send,
    digest,
    get: ({
      signal = never,
      scopeLimit = ANY_SCOPE,
      url = new URL(`${server.url}/v2/a/blobs/${digest}`),
      headers = {},
    } = {}) => send({ method: 'GET', url, headers, kind: 'blob', scopeLimit, signal }),
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

/** The statuses of `upstream.answered` events for this server; undefined when there was no response. */
function publishedStatuses(t: TestContext, server: FaultyUpstream): (number | undefined)[] {
  const statuses: (number | undefined)[] = []
  t.after(subscribe('upstream.answered', ({ host, status }) => host === server.host && statuses.push(status)))
  return statuses
}

for (const [name, tls] of [
  ['send', false],
  ['send', true],
  ['sendForBlob', false],
  ['sendForBlob', true],
] as const) {
  const who = `${name === 'send' ? 'undici' : 'the blob client'}${tls ? ' over TLS' : ''}`

  test(`${who}: reads a body completely`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    const response = await get()
    assert.equal(response.status, 200)
    assert.equal(response.body.length, BYTES.length)
    const intake = new MemoryIntake()
    await response.body.readInto(intake, ALL)
    assert.ok(same(intake.bytes, BYTES))
  })

  test(`${who}: reads a body completely into an intake that is full again and again`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    const intake = new MemoryIntake({ window: 10_007, room: 50_000 })
    const read = (await get()).body.readInto(intake, ALL)
    let ended = false
    read.finally(() => (ended = true)).catch(() => {})
    while (!ended) {
      await Promise.race([intake.full(), read])
      const before = intake.position
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(intake.position, before, 'the intake gets nothing while it is full')
      intake.drain()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await read
    assert.ok(same(intake.bytes, BYTES))
    assert.ok(intake.pauses > 40)
  })

  test(`${who}: skips the bytes that the intake already has`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    const intake = new MemoryIntake({ start: BYTES.subarray(0, 1_234_567) })
    await (await get()).body.readInto(intake, { ...ALL, skip: 1_234_567 })
    assert.ok(same(intake.bytes, BYTES))
  })

  test(`${who}: a failure of the intake ends the reading with that failure`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    const intake = new MemoryIntake({ room: 50_000 })
    const read = (await get()).body.readInto(intake, ALL)
    const outcome = assert.rejects(read, isFailure('disk', /full/))
    await intake.full()
    intake.fail(new Failure('disk', 'the disk is full'))
    await outcome
  })

  test(`${who}: a body over its limit is refused`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    await assert.rejects(
      (await get()).body.readInto(new MemoryIntake(), { skip: 0, limit: 1000 }),
      isFailure('too-large'),
    )
  })

  for (const how of ['fin', 'rst'] as const) {
    test(`${who}: a body that breaks off (${how}) is a failure, and the intake keeps the bytes before`, async (t) => {
      const { get, server, digest } = await startTransport(t, name, tls)
      server.fault(digest, { dieAt: 1_000_000, how })
      const intake = new MemoryIntake()
      await assert.rejects((await get()).body.readInto(intake, ALL), isFailure('unavailable'))
      assert.ok(intake.position <= 1_000_000)
      assert.ok(same(intake.bytes, BYTES.subarray(0, intake.position)))
      if (how === 'fin') assert.equal(intake.position, 1_000_000)
    })
  }

  test(`${who}: a body shorter than declared is a failure`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    server.fault(digest, { lengthLie: 1000 })
    const intake = new MemoryIntake()
    await assert.rejects((await get()).body.readInto(intake, ALL), isFailure('unavailable'))
    assert.equal(intake.position, BYTES.length)
  })

  test(`${who}: a body of undeclared length is read completely`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    server.fault(digest, { chunked: true })
    for (let i = 0; i < 2; i += 1) {
      const response = await get()
      assert.equal(response.body.length, undefined)
      const intake = new MemoryIntake()
      await response.body.readInto(intake, ALL)
      assert.ok(same(intake.bytes, BYTES))
    }
  })

  test(`${who}: a body of undeclared length that breaks off is a failure`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    server.fault(digest, { chunked: true, dieAt: 500_000 })
    await assert.rejects((await get()).body.readInto(new MemoryIntake(), ALL), isFailure('unavailable'))
  })

  test(`${who}: an empty body is read`, async (t) => {
    const { get, server } = await startTransport(t, name, tls)
    const digest = server.addBlob(new Uint8Array(0))
    const response = await get({ url: new URL(`${server.url}/v2/a/blobs/${digest}`) })
    const intake = new MemoryIntake()
    await response.body.readInto(intake, ALL)
    assert.equal(intake.position, 0)
  })

  test(`${who}: an abort before the response fails with the reason of the signal`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    server.fault(digest, { silent: true })
    const controller = new AbortController()
    const reason = new Error('gone')
    const outcome = assert.rejects(get({ signal: controller.signal }), (error) => error === reason)
    await server.stalled(digest)
    controller.abort(reason)
    await outcome
  })

  test(`${who}: an abort during the body fails with the reason of the signal`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    server.fault(digest, { stallAt: 100_000 })
    const controller = new AbortController()
    const reason = new Error('gone')
    const response = await get({ signal: controller.signal })
    const outcome = assert.rejects(
      response.body.readInto(new MemoryIntake(), ALL),
      (error) => error === reason,
    )
    await server.stalled(digest)
    controller.abort(reason)
    await outcome
  })

  test(`${who}: an abort while the intake is full fails with the reason of the signal`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    const controller = new AbortController()
    const reason = new Error('gone')
    const intake = new MemoryIntake({ room: 50_000 })
    const response = await get({ signal: controller.signal })
    const outcome = assert.rejects(response.body.readInto(intake, ALL), (error) => error === reason)
    await intake.full()
    controller.abort(reason)
    await outcome
  })

  test(`${who}: no request is sent for a signal that is already aborted`, async (t) => {
    const { get, server } = await startTransport(t, name, tls)
    await assert.rejects(get({ signal: AbortSignal.abort(new Error('gone')) }), /gone/)
    assert.equal(server.requests.length, 0)
  })

  test(`${who}: a 404 is a response, whose body need not be read`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    server.fault(digest, { status: 404, body: 'x'.repeat(2000) })
    for (let i = 0; i < 3; i += 1) {
      const response = await get()
      assert.equal(response.status, 404)
      response.body.dispose()
      response.body.dispose()
    }
  })

  test(`${who}: one connection carries several requests, one after another`, async (t) => {
    const { get, server } = await startTransport(t, name, tls)
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
    const { get, server } = await startTransport(t, name, tls)
    await server.close()
    await assert.rejects(get(), (error) => {
      assert.ok(error instanceof Failure)
      assert.match(error.message, /ECONNREFUSED/)
      assert.equal(error.details.source, server.host)
      return error.code === 'unavailable'
    })
  })

  test(`${who}: a name that resolves to a loopback address is not contacted under a public scope limit`, async (t) => {
    const { get, server } = await startTransport(t, name, tls)
    const url = new URL(`${server.url.replace('127.0.0.1', 'localhost')}/v2/?secret=1`)
    await assert.rejects(get({ url, scopeLimit: 'public' }), (error) => {
      assert.ok(error instanceof Failure)
      assert.match(error.message, /private/)
      assert.doesNotMatch(error.message, /secret/)
      return true
    })
    assert.equal(server.requests.length, 0)
  })

  test(`${who}: every response is published as an event`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    const statuses = publishedStatuses(t, server)
    ;(await get()).body.dispose()
    server.fault(digest, { status: 503, times: 1 })
    ;(await get()).body.dispose()
    assert.deepEqual(statuses, [200, 503])
  })

  test(`${who}: a server that never answers is a failure at the deadline, and is published as an event`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls, SHORT_DEADLINES)
    const statuses = publishedStatuses(t, server)
    server.fault(digest, { silent: true })
    await assert.rejects(get(), isFailure('unavailable', /no answer within 100 ms/))
    assert.deepEqual(statuses, [undefined])
  })

  test(`${who}: closing ends a body that is being read`, async (t) => {
    const server = await startFaultyUpstream({ tls })
    t.after(() => server.close())
    const transport = new Transport({
      caFile: undefined,
      acceptInvalidCerts: true,
      proxies: undefined,
      lookup: undefined,
      deadlines: LONG_DEADLINES,
    })
    const digest = server.addBlob(BYTES)
    server.fault(digest, { stallAt: 1000 })
    const response = await transport[name]({
      method: 'GET',
      url: new URL(`${server.url}/v2/a/blobs/${digest}`),
      headers: {},
      kind: 'blob',
      scopeLimit: ANY_SCOPE,
      signal: new AbortController().signal,
    })
    const outcome = assert.rejects(response.body.readInto(new MemoryIntake(), ALL), Failure)
    await server.stalled(digest)
    await transport.close()
    await outcome
  })
}

for (const name of ['send', 'sendForBlob'] as const) {
  test(`${name}: a self-signed certificate is refused unless acceptInvalidCerts is set`, async (t) => {
    const server = await startFaultyUpstream({ tls: true })
    t.after(() => server.close())
    const digest = server.addBlob(BYTES)
    for (const acceptInvalidCerts of [false, true]) {
      const transport = new Transport({
        caFile: undefined,
        acceptInvalidCerts,
        proxies: undefined,
        lookup: undefined,
        deadlines: LONG_DEADLINES,
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

test('a CA file that cannot be read is a failure that names the file, until the file exists', async (t) => {
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
    deadlines: LONG_DEADLINES,
  })
  t.after(() => transport.close())
  const ping = () =>
    transport.send({
      method: 'GET',
      url: new URL(`${server.url}/v2/`),
      headers: {},
      kind: 'ping',
      scopeLimit: ANY_SCOPE,
      signal: new AbortController().signal,
    })
  await assert.rejects(ping(), isFailure('unavailable', /late\.pem/))
  await writeFile(caFile, server.certificates?.ca ?? '')
  const response = await ping()
  assert.equal(response.status, 200)
  response.body.dispose()
})
