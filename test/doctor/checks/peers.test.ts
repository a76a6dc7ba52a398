import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAgent } from '../../../src/agent.ts'
import { type AgentAnswer, queryAgent } from '../../../src/doctor/checks/agent.ts'
import { checkPeers, judgeMembers } from '../../../src/doctor/checks/peers.ts'
import { startBootstrapNode } from '../../../src/peers/dht/bootstrap.ts'
import { agentStatus } from '../agent-status.ts'
import { findingLines } from '../finding-lines.ts'

const SECRET = 'the secret of these two dozen nodes'
const ANY = { host: '127.0.0.1', port: 0 }
/** Without a deadline, the findings do not depend on the speed of the machine. */
const signal = new AbortController().signal
const NO_AGENT: AgentAnswer = { kind: 'no-answer', why: 'connection refused' }

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

async function secretFile(t: TestContext, text: string, mode = 0o600): Promise<string> {
  const path = join(await folder(t), 'secret')
  await writeFile(path, text)
  await chmod(path, mode)
  return path
}

test('an agent answers at the port for peers, if the secret is right', async (t) => {
  const [data, file] = [await folder(t), await secretFile(t, `${SECRET}\n`)]
  const peers = { secretFile: file, listen: ANY, dht: ANY, advertise: '127.0.0.1' }
  const agent = createAgent({ data, listen: ANY, admin: ANY, peers })
  await agent.start()
  t.after(() => agent.stop({ drainMs: 0 }))
  const answer = await queryAgent(agent.addresses.admin ?? ANY, { signal })
  assert.equal(answer.kind, 'agent')
  const [, port] = /^127\.0\.0\.1:(\d+)$/.exec(answer.status.peers?.self.address ?? '') ?? assert.fail()
  const found = findingLines(await checkPeers(peers, { agent: answer, signal }))
  assert.deepEqual(found.slice(0, 2), [
    `ok: the secret in ${file} is strong, and not readable by others`,
    `ok: the agent answers peers at 127.0.0.1:${port}`,
  ])
  assert.equal(found[2], 'warning: the agent sees no peers')
  const other = await secretFile(t, `another ${SECRET}\n`)
  const [, refused] = await checkPeers({ ...peers, secretFile: other }, { agent: answer, signal })
  assert.equal(refused?.state, 'problem')
  assert.match(
    refused.found,
    new RegExp(
      `^peers cannot connect to the agent at 127\\.0\\.0\\.1:${port}: what answers there has a different secret`,
    ),
  )
})

test('a port for peers that refuses connections is a problem', async (t) => {
  const peers = { secretFile: await secretFile(t, SECRET), listen: { host: '127.0.0.1', port: 1 } }
  const [, found] = await checkPeers(peers, { agent: NO_AGENT, signal })
  assert.equal(
    found?.found,
    'peers cannot connect to the agent at 127.0.0.1:1 (guessed, because --advertise is not set): connection refused',
  )
  assert.match(found.todo ?? '', /open TCP 1 in the firewall/)
})

test('a secret that is short, weak, readable by others or missing is a finding that does not contain it', async (t) => {
  const table: readonly (readonly [string, string, RegExp])[] = [
    [await secretFile(t, 'swordfish\n'), 'problem', /contains a secret that can be guessed/],
    [await secretFile(t, `${'ab'.repeat(20)}\n`), 'problem', /the secret in .* can be guessed$/],
    [await secretFile(t, SECRET, 0o644), 'warning', /can be read by everyone/],
    [await secretFile(t, ''), 'problem', /contains no secret/],
    ['/none/secret', 'problem', /cannot be read \(ENOENT\)/],
  ]
  const listen = { host: '127.0.0.1', port: 1 }
  for (const [file, state, expected] of table) {
    const found = await checkPeers({ secretFile: file, listen }, { agent: NO_AGENT, signal })
    assert.equal(found[0]?.state, state, found[0]?.found)
    assert.match(found[0]?.found ?? '', expected)
    assert.ok(!/swordfish|abab|dozen/.test(JSON.stringify(found)))
  }
})

const NAMELESS = { host: 'dht.invalid', port: 49_737 }

/** The findings about these bootstrap nodes. */
async function bootstrapLines(
  t: TestContext,
  bootstrap: readonly { host: string; port: number }[],
  deadline: AbortSignal = signal,
): Promise<readonly string[]> {
  const peers = { secretFile: await secretFile(t, SECRET), listen: { host: '127.0.0.1', port: 1 } }
  return findingLines(await checkPeers({ ...peers, bootstrap }, { agent: NO_AGENT, signal: deadline })).slice(
    2,
    -1,
  )
}

test('a bootstrap node that answers is ok, and a name without an address is a finding', async (t) => {
  const dht = await startBootstrapNode({ listen: ANY, bootstrap: [], advertise: undefined })
  t.after(() => dht.stop())
  assert.deepEqual(await bootstrapLines(t, [dht.address, NAMELESS]), [
    `ok: the bootstrap node 127.0.0.1:${dht.address.port} answers`,
    'warning: the bootstrap node dht.invalid:49737 does not answer: dht.invalid has no IPv4 address, which the DHT needs',
  ])
  assert.deepEqual(
    (await bootstrapLines(t, [NAMELESS])).map((text) => text.split(':')[0]),
    ['problem'],
  )
})

test('a silent bootstrap node is given up at the deadline', async (t) => {
  const silent = createSocket('udp4')
  t.after(() => silent.close())
  silent.bind(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address()
  const deadline = new AbortController()
  silent.once('message', () => deadline.abort())
  const where = `127.0.0.1:${port}`
  assert.deepEqual(await bootstrapLines(t, [{ host: '127.0.0.1', port }], deadline.signal), [
    `problem: the bootstrap node ${where} does not answer: ${where} does not answer over UDP`,
  ])
})

test('the findings about peers follow from what the agent reports', () => {
  const peers = (given: object | null | undefined): AgentAnswer => ({
    kind: 'agent',
    aheadMs: 0,
    status: agentStatus(
      given === undefined
        ? {}
        : {
            peers:
              given === null ? null : { self: { address: '10.0.0.1:5052' }, count: 0, members: [], ...given },
          },
    ),
  })
  const judged = (agent: AgentAnswer) => judgeMembers(agent, { secretFile: 'secret' })
  assert.deepEqual(findingLines(judged(NO_AGENT)), [
    'not-checked: the peers are unknown, because no agent answers',
  ])
  assert.deepEqual(findingLines(judged(peers(undefined))), [
    'not-checked: the peers are unknown, because the agent does not report them',
  ])
  assert.deepEqual(findingLines(judged(peers(null))), [
    'problem: the agent runs without peers, though a peer secret is given here',
  ])
  assert.deepEqual(findingLines(judged(peers({ count: 2 }))), ['ok: the agent sees 2 peers'])
  const [noPeers] = judged(peers({}))
  assert.equal(noPeers?.state, 'warning')
  assert.match(noPeers.todo ?? '', /the same secret .* UDP 49737 and TCP 5052/)
  const members = [{ name: 'old', version: '0.0.9', understood: false }]
  assert.deepEqual(findingLines(judged(peers({ count: 1, members }))), [
    'warning: the protocol of 1 of 1 peer is incompatible: old (0.0.9)',
  ])
})

test('without a secret nothing is checked, and peers that the agent reports are named', async () => {
  assert.deepEqual(findingLines(await checkPeers(undefined, { agent: NO_AGENT, signal })), [
    'not-checked: no peer secret is given here (--peers-secret-file), so the agent runs without peers',
  ])
  const status = agentStatus({ peers: { self: { address: '10.0.0.1:5052' }, count: 3, members: [] } })
  assert.deepEqual(
    findingLines(await checkPeers(undefined, { agent: { kind: 'agent', status, aheadMs: 0 }, signal })),
    [
      'not-checked: no peer secret is given here (--peers-secret-file), but the agent is a member of a swarm, and sees 3 peers',
    ],
  )
})
