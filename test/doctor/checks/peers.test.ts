import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type AgentSeen, seeAgent } from '../../../src/doctor/checks/agent.ts'
import { judgeMembers, lookAtPeers } from '../../../src/doctor/checks/peers.ts'
import { createAgent } from '../../../src/index.ts'
import { startBootstrapNode } from '../../../src/peers/dht/bootstrap.ts'
import { statusOf } from '../status.ts'
import { told } from '../told.ts'

const SECRET = 'the secret of these two dozen nodes'
const ANY = { host: '127.0.0.1', port: 0 }
/** A slow machine changes nothing of what is found. */
const signal = new AbortController().signal
const NOBODY: AgentSeen = { kind: 'nobody', why: 'connection refused' }

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  t.after(() => rm(made, { recursive: true }))
  return made
}

async function secretFile(t: TestContext, text: string, mode = 0o600): Promise<string> {
  const path = join(await folder(t), 'secret')
  await writeFile(path, text)
  await chmod(path, mode)
  return path
}

test('an agent is found where its peers find it, by whoever has its secret', async (t) => {
  const [data, file] = [await folder(t), await secretFile(t, `${SECRET}\n`)]
  const peers = { secretFile: file, listen: ANY, dht: ANY, advertise: '127.0.0.1' }
  const agent = createAgent({ data, listen: ANY, admin: ANY, peers })
  await agent.start()
  t.after(() => agent.stop({ drainMs: 0 }))
  const seen = await seeAgent(agent.addresses.admin ?? ANY, { signal })
  assert.equal(seen.kind, 'agent')
  const [, port] = /^127\.0\.0\.1:(\d+)$/.exec(seen.status.peers?.self.address ?? '') ?? assert.fail()
  const found = told(await lookAtPeers(peers, { agent: seen, signal }))
  assert.deepEqual(found.slice(0, 2), [
    `ok: the secret in ${file} is long enough and closed to others`,
    `ok: the agent answers its peers at 127.0.0.1:${port}`,
  ])
  assert.equal(found[2], 'warning: the agent sees no peer')
  const other = await secretFile(t, `another ${SECRET}\n`)
  const [, refused] = await lookAtPeers({ ...peers, secretFile: other }, { agent: seen, signal })
  assert.equal(refused?.state, 'problem')
  assert.match(
    refused.found,
    new RegExp(`^at 127\\.0\\.0\\.1:${port}, .* what answers there has a different secret`),
  )
})

test('a port that nobody listens on is a problem', async (t) => {
  const peers = { secretFile: await secretFile(t, SECRET), listen: { host: '127.0.0.1', port: 1 } }
  const [, found] = await lookAtPeers(peers, { agent: NOBODY, signal })
  assert.equal(
    found?.found,
    'at 127.0.0.1:1 (guessed: no --advertise), where peers ask this agent, connection refused',
  )
  assert.match(found.todo ?? '', /TCP 1 through the firewall/)
})

test('a secret that is short, weak, open or not there is told without what is in it', async (t) => {
  const table: readonly (readonly [string, string, RegExp])[] = [
    [await secretFile(t, 'swordfish\n'), 'problem', /contains a secret that can be guessed/],
    [await secretFile(t, `${'ab'.repeat(20)}\n`), 'problem', /the secret in .* can be guessed$/],
    [await secretFile(t, SECRET, 0o644), 'warning', /can be read by everyone/],
    [await secretFile(t, ''), 'problem', /contains no secret/],
    ['/none/secret', 'problem', /cannot be read \(ENOENT\)/],
  ]
  const listen = { host: '127.0.0.1', port: 1 }
  for (const [file, state, expected] of table) {
    const found = await lookAtPeers({ secretFile: file, listen }, { agent: NOBODY, signal })
    assert.equal(found[0]?.state, state, found[0]?.found)
    assert.match(found[0]?.found ?? '', expected)
    assert.ok(!/swordfish|abab|dozen/.test(JSON.stringify(found)))
  }
})

const NAMELESS = { host: 'dht.invalid', port: 49_737 }

/** What is found of these nodes of the DHT. */
async function bootstrapFound(
  t: TestContext,
  bootstrap: readonly { host: string; port: number }[],
  until: AbortSignal = signal,
): Promise<readonly string[]> {
  const peers = { secretFile: await secretFile(t, SECRET), listen: { host: '127.0.0.1', port: 1 } }
  return told(await lookAtPeers({ ...peers, bootstrap }, { agent: NOBODY, signal: until })).slice(2, -1)
}

test('a bootstrap node answers, or has no address', async (t) => {
  const dht = await startBootstrapNode({ listen: ANY, bootstrap: [], advertise: undefined })
  t.after(() => dht.stop())
  assert.deepEqual(await bootstrapFound(t, [dht.address, NAMELESS]), [
    `ok: the bootstrap node 127.0.0.1:${dht.address.port} answers`,
    'warning: the bootstrap node dht.invalid:49737 does not answer: dht.invalid has no IPv4 address, which the DHT needs',
  ])
  assert.deepEqual(
    (await bootstrapFound(t, [NAMELESS])).map((text) => text.split(':')[0]),
    ['problem'],
  )
})

test('a bootstrap node that is silent is left at the deadline', async (t) => {
  const silent = createSocket('udp4')
  t.after(() => silent.close())
  silent.bind(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address()
  const leaving = new AbortController()
  silent.once('message', () => leaving.abort())
  const where = `127.0.0.1:${port}`
  assert.deepEqual(await bootstrapFound(t, [{ host: '127.0.0.1', port }], leaving.signal), [
    `problem: the bootstrap node ${where} does not answer: ${where} does not answer over UDP`,
  ])
})

test('who is there is the agent’s to tell', () => {
  const peers = (given: object | null | undefined): AgentSeen => ({
    kind: 'agent',
    aheadMs: 0,
    status: statusOf(
      given === undefined
        ? {}
        : {
            peers:
              given === null ? null : { self: { address: '10.0.0.1:5052' }, count: 0, members: [], ...given },
          },
    ),
  })
  const judged = (agent: AgentSeen) => judgeMembers(agent, { secretFile: 'secret' })
  assert.deepEqual(told(judged(NOBODY)), ['not-looked-at: who the peers are, because no agent answers'])
  assert.deepEqual(told(judged(peers(undefined))), [
    'not-looked-at: who the peers are, because the agent does not tell',
  ])
  assert.deepEqual(told(judged(peers(null))), [
    'problem: the agent runs without peers, though a secret is given here',
  ])
  assert.deepEqual(told(judged(peers({ count: 2 }))), ['ok: the agent sees 2 peers'])
  const [alone] = judged(peers({}))
  assert.equal(alone?.state, 'warning')
  assert.match(alone.todo ?? '', /the same secret in all of them\?.* UDP 49737 and TCP 5052/)
  const members = [{ name: 'old', version: '0.0.9', understood: false }]
  assert.deepEqual(told(judged(peers({ count: 1, members }))), [
    'warning: of 1 peer 1 speak otherwise: old (0.0.9)',
  ])
})

test('without a secret there is nothing to look at, and what the agent says is told', async () => {
  assert.deepEqual(told(await lookAtPeers(undefined, { agent: NOBODY, signal })), [
    'not-looked-at: no secret of peers is given here (--peers-secret-file), so the agent works alone',
  ])
  const status = statusOf({ peers: { self: { address: '10.0.0.1:5052' }, count: 3, members: [] } })
  assert.deepEqual(
    told(await lookAtPeers(undefined, { agent: { kind: 'agent', status, aheadMs: 0 }, signal })),
    [
      'not-looked-at: no secret of peers is given here (--peers-secret-file), but the agent is one of a swarm, and sees 3 peers',
    ],
  )
})
