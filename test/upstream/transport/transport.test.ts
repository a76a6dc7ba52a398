import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { ANY_SCOPE } from '../../../src/upstream/options/address-scope.ts'
import { Transport } from '../../../src/upstream/transport/transport.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { sharedLanes } from '../../lanes/shared-lanes.ts'

import {
  ALL,
  BYTES,
  CLIENTS,
  isFailure,
  LONG_DEADLINES,
  publishedStatuses,
  SHORT_DEADLINES,
  startTransport,
} from './transport-server.ts'

for (const { name, tls, who } of CLIENTS) {
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
      lanes: sharedLanes(),
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
        lanes: sharedLanes(),
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
    lanes: sharedLanes(),
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
