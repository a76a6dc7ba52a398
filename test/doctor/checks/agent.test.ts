import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { judgeAgent, seeAgent } from '../../../src/doctor/checks/agent.ts'
import { judgeRegistry, registryAddress, seeRegistry } from '../../../src/doctor/checks/registry.ts'
import { type Agent, type AgentOptions, createAgent } from '../../../src/index.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { statusOf } from '../status.ts'
import { told } from '../told.ts'

const ANY = { host: '127.0.0.1', port: 0 }
const NOWHERE = { host: '127.0.0.1', port: 1 }
/** A slow machine changes nothing of what is found. */
const signal = new AbortController().signal

async function started(t: TestContext, options: Partial<AgentOptions> = {}): Promise<Agent> {
  const data = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  const agent = createAgent({ data, listen: ANY, admin: ANY, version: '0.1.0', ...options })
  await agent.start()
  t.after(async () => {
    await agent.stop({ drainMs: 0 })
    await rm(data, { recursive: true })
  })
  return agent
}

async function answering(
  t: TestContext,
  status: number,
  body: string,
): Promise<{ host: string; port: number }> {
  const server = createServer((_request, response) => response.writeHead(status).end(body))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

test('an agent that runs is ready, has a version and tells the time', async (t) => {
  const { admin = ANY } = (await started(t)).addresses
  const before = Date.now()
  const seen = await seeAgent(admin, { signal })
  const took = Date.now() - before
  assert.equal(seen.kind, 'agent')
  // Its clock is the one here, of which its answer has the minute at least.
  assert.ok(seen.aheadMs !== undefined && seen.aheadMs <= took && seen.aheadMs > -took - 60_000)
  const now = Date.parse(seen.status.startedAt) + 90_000
  const where = `127.0.0.1:${admin.port}`
  const ready = `ok: the agent answers at ${where} and is ready (version 0.1.0, up since 1m ago)`
  assert.deepEqual(told(judgeAgent(seen, { admin, version: '0.1.0', now })), [ready])
  assert.deepEqual(told(judgeAgent(seen, { admin, version: '0.2.0', now })), [
    ready,
    'warning: the agent has version 0.1.0, this command 0.2.0',
  ])
})

test('nobody, a stranger and one that is not ready are told apart', async (t) => {
  const context = { admin: NOWHERE, version: '0.1.0', now: 0 }
  const nobody = await seeAgent(NOWHERE, { signal })
  assert.deepEqual(told(judgeAgent(nobody, context)), [
    'problem: no agent answers at 127.0.0.1:1 (connection refused)',
  ])
  for (const [status, body] of [
    [200, '{"hello": "world"}'],
    [200, 'no JSON'],
    [404, '{}'],
  ] as const) {
    const admin = await answering(t, status, body)
    const stranger = await seeAgent(admin, { signal })
    const [found] = judgeAgent(stranger, { ...context, admin })
    assert.equal(found?.found, `what answers at 127.0.0.1:${admin.port} is no agent`)
  }
  const status = statusOf({ ready: false, reasons: ['The agent is shutting down.'] })
  assert.deepEqual(told(judgeAgent({ kind: 'agent', status, aheadMs: 0 }, context)), [
    'problem: the agent at 127.0.0.1:1 is not ready: The agent is shutting down.',
  ])
})

test('one that never answers is left', async (t) => {
  const server = createServer(() => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const leaving = new AbortController()
  const { port } = server.address() as AddressInfo
  const looking = seeAgent({ host: '127.0.0.1', port }, { signal: leaving.signal })
  await once(server, 'request')
  leaving.abort()
  assert.deepEqual(await looking, { kind: 'nobody', why: 'no answer in time' })
})

test('the registry address is asked as the agent names it, over HTTP and over TLS', async (t) => {
  const { admin = ANY, registry: address } = (await started(t)).addresses
  const agent = await seeAgent(admin, { signal })
  assert.deepEqual(registryAddress(agent, { listen: NOWHERE }), address)
  const plain = await seeRegistry(address, { isTls: false, signal })
  const where = `127.0.0.1:${address.port}`
  assert.deepEqual(told(judgeRegistry(plain, { address, listen: address, isTls: false })), [
    `ok: the registry address ${where} answers /v2/ over HTTP`,
  ])
  const { key, cert } = makeCertificates()
  const folder = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  t.after(() => rm(folder, { recursive: true }))
  const tls = { certFile: join(folder, 'cert'), keyFile: join(folder, 'key') }
  await writeFile(tls.certFile, cert)
  await writeFile(tls.keyFile, key)
  const secured = (await started(t, { tls })).addresses.registry
  // Settings that do not say so find it all the same.
  for (const isTls of [true, false]) {
    const seen = await seeRegistry(secured, { isTls, signal })
    assert.deepEqual(seen, { kind: 'answer', status: 200, isTls: true })
    const found = judgeRegistry(seen, { address: secured, listen: secured, isTls })
    assert.deepEqual(
      found.map(({ state }) => state),
      isTls ? ['ok'] : ['ok', 'warning'],
    )
  }
})

test('a registry address that does not serve images is a problem', async (t) => {
  const nobody = await seeRegistry(NOWHERE, { isTls: false, signal })
  assert.deepEqual(told(judgeRegistry(nobody, { address: NOWHERE, listen: NOWHERE, isTls: false })), [
    'problem: the registry address 127.0.0.1:1 does not answer (connection refused)',
  ])
  const address = await answering(t, 404, '')
  const stranger = await seeRegistry(address, { isTls: false, signal })
  assert.deepEqual(told(judgeRegistry(stranger, { address, listen: address, isTls: false })), [
    `problem: the registry address 127.0.0.1:${address.port} answers 404 to /v2/`,
  ])
})
