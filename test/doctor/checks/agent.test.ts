import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Agent, type AgentOptions, createAgent } from '../../../src/agent.ts'
import { judgeAgent, queryAgent } from '../../../src/doctor/checks/agent.ts'
import { judgeRegistry, queryRegistry, registryAddress } from '../../../src/doctor/checks/registry.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { agentStatus } from '../agent-status.ts'
import { findingLines } from '../finding-lines.ts'

const ANY = { host: '127.0.0.1', port: 0 }
const NOWHERE = { host: '127.0.0.1', port: 1 }
/** Without a deadline, the findings do not depend on the speed of the machine. */
const signal = new AbortController().signal

async function startAgent(t: TestContext, options: Partial<AgentOptions> = {}): Promise<Agent> {
  const data = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  const agent = createAgent({ data, listen: ANY, admin: ANY, version: '0.1.0', ...options })
  await agent.start()
  t.after(async () => {
    await agent.stop({ drainMs: 0 })
    await rm(data, { recursive: true })
  })
  return agent
}

async function startServer(
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

test('a running agent is ready, and reports its version and its time', async (t) => {
  const { admin = ANY } = (await startAgent(t)).addresses
  const before = Date.now()
  const answer = await queryAgent(admin, { signal })
  const took = Date.now() - before
  assert.equal(answer.kind, 'agent')
  // Agent and test share a clock, and the date of an answer is at most a minute old.
  assert.ok(answer.aheadMs !== undefined && answer.aheadMs <= took && answer.aheadMs > -took - 60_000)
  const now = Date.parse(answer.status.startedAt) + 90_000
  const where = `127.0.0.1:${admin.port}`
  const ready = `ok: the agent at ${where} is ready (version 0.1.0, started 1m ago)`
  assert.deepEqual(findingLines(judgeAgent(answer, { admin, version: '0.1.0', now })), [ready])
  assert.deepEqual(findingLines(judgeAgent(answer, { admin, version: '0.2.0', now })), [
    ready,
    'warning: the agent has version 0.1.0, this command has version 0.2.0',
  ])
})

test('no answer, another program and an agent that is not ready are different problems', async (t) => {
  const context = { admin: NOWHERE, version: '0.1.0', now: 0 }
  const noAnswer = await queryAgent(NOWHERE, { signal })
  assert.deepEqual(findingLines(judgeAgent(noAnswer, context)), [
    'problem: no agent answers at 127.0.0.1:1 (connection refused)',
  ])
  for (const [status, body] of [
    [200, '{"hello": "world"}'],
    [200, 'no JSON'],
    [404, '{}'],
  ] as const) {
    const admin = await startServer(t, status, body)
    const otherProgram = await queryAgent(admin, { signal })
    const [found] = judgeAgent(otherProgram, { ...context, admin })
    assert.equal(found?.found, `the program that answers at 127.0.0.1:${admin.port} is not an agent`)
  }
  const locked = await startServer(t, 401, '{"error": "this needs a token"}')
  assert.deepEqual(
    findingLines(judgeAgent(await queryAgent(locked, { signal }), { ...context, admin: locked })),
    [`not-checked: the agent at 127.0.0.1:${locked.port} asks for a token`],
  )
  const status = agentStatus({ ready: false, reasons: ['The agent is shutting down.'] })
  assert.deepEqual(findingLines(judgeAgent({ kind: 'agent', status, aheadMs: 0 }, context)), [
    'problem: the agent at 127.0.0.1:1 is not ready: The agent is shutting down.',
  ])
})

test('an agent that never answers is given up at the deadline', async (t) => {
  const server = createServer(() => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const deadline = new AbortController()
  const { port } = server.address() as AddressInfo
  const answer = queryAgent({ host: '127.0.0.1', port }, { signal: deadline.signal })
  await once(server, 'request')
  deadline.abort()
  assert.deepEqual(await answer, { kind: 'no-answer', why: 'no answer in time' })
})

test('the registry is requested at the address that the agent reports, over HTTP and over TLS', async (t) => {
  const { admin = ANY, registry: address } = (await startAgent(t)).addresses
  const agent = await queryAgent(admin, { signal })
  assert.deepEqual(registryAddress(agent, { listen: NOWHERE }), address)
  const plain = await queryRegistry(address, { isTls: false, signal })
  const where = `127.0.0.1:${address.port}`
  assert.deepEqual(findingLines(judgeRegistry(plain, { address, listen: address, isTls: false })), [
    `ok: the registry address ${where} answers /v2/ over HTTP`,
  ])
  const { key, cert } = makeCertificates()
  const folder = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  t.after(() => rm(folder, { recursive: true }))
  const tls = { certFile: join(folder, 'cert'), keyFile: join(folder, 'key') }
  await writeFile(tls.certFile, cert)
  await writeFile(tls.keyFile, key)
  const secured = (await startAgent(t, { tls })).addresses.registry
  // With settings that do not name TLS, it is found too.
  for (const isTls of [true, false]) {
    const answer = await queryRegistry(secured, { isTls, signal })
    assert.deepEqual(answer, { kind: 'answer', status: 200, isTls: true })
    const found = judgeRegistry(answer, { address: secured, listen: secured, isTls })
    assert.deepEqual(
      found.map(({ state }) => state),
      isTls ? ['ok'] : ['ok', 'warning'],
    )
  }
})

test('a registry address that does not serve images is a problem', async (t) => {
  const noAnswer = await queryRegistry(NOWHERE, { isTls: false, signal })
  assert.deepEqual(
    findingLines(judgeRegistry(noAnswer, { address: NOWHERE, listen: NOWHERE, isTls: false })),
    ['problem: the registry address 127.0.0.1:1 does not answer (connection refused)'],
  )
  const address = await startServer(t, 404, '')
  const otherProgram = await queryRegistry(address, { isTls: false, signal })
  assert.deepEqual(findingLines(judgeRegistry(otherProgram, { address, listen: address, isTls: false })), [
    `problem: the registry address 127.0.0.1:${address.port} answers 404 to /v2/`,
  ])
})
