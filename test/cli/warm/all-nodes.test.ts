import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import * as v from 'valibot'
import type { AgentOptions } from '../../../src/agent.ts'
import type { FlightPolicy } from '../../../src/fetch/flight/flight-policy.ts'
import { subscribe } from '../../../src/observe/events.ts'
import { startBootstrapNode } from '../../../src/peers/dht/bootstrap.ts'
import { WarmLine } from '../../../src/schemas/warm-report.ts'
import { requirePrograms } from '../../../testkit/programs.ts'
import type { ImageAdded } from '../../../testkit/registries/faulty/content.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { Node } from '../../warm/node.ts'
import { runAgent } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'
import { TerminalSession } from '../terminal-session.ts'

/** `agent warm --all-nodes` with a swarm of real agents. */

const LOCAL = { host: '127.0.0.1', port: 0 }
const KIB = 1024
/** No attempt times out, so a stalled download waits until the test releases it. */
const PATIENCE = {
  progressTimeoutMs: 600_000,
  sizeTimeoutMs: 600_000,
  retryPauseMs: 5,
} satisfies Partial<FlightPolicy>
let upstream: FaultyUpstream
let folder: string

before(async () => {
  upstream = await startFaultyUpstream()
  folder = await mkdtemp(join(tmpdir(), 'leat-warm-nodes-'))
})

after(async () => {
  await upstream.close()
  await rm(folder, { recursive: true })
})

/** Starts one agent for each of the options, in a swarm of their own, and waits until all know each other. */
async function swarm(t: TestContext, ...options: readonly Partial<AgentOptions>[]): Promise<Node[]> {
  const secretFile = join(folder, randomBytes(4).toString('hex'))
  await writeFile(secretFile, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 })
  const dht = await startBootstrapNode({ listen: LOCAL, bootstrap: [], advertise: undefined })
  const nodes: Node[] = []
  t.after(async () => {
    // The agents announce their departure to the DHT and wait for its answer, so the DHT stops last.
    await Promise.all(nodes.map(({ agent }) => agent.stop({ drainMs: 0 })))
    await dht.stop()
  })
  const met = allMet(t, options.length)
  const peers = { secretFile, listen: LOCAL, advertise: LOCAL.host, dht: LOCAL, bootstrap: [dht.address] }
  const start = async (more: Partial<AgentOptions>): Promise<Node> =>
    await Node.start(t, upstream, { patience: PATIENCE, peers, ...more })
  nodes.push(...(await Promise.all(options.map(start))))
  await met
  return nodes
}

/** Resolves when each of `count` agents in this process knows all others. */
function allMet(t: TestContext, count: number): Promise<void> {
  let missing = count * (count - 1)
  return new Promise((resolve) => {
    const onJoined = (): void => {
      missing -= 1
      if (missing === 0) resolve()
    }
    t.after(subscribe('peer.joined', onJoined))
  })
}

function at(node: Node | undefined): string[] {
  return ['--all-nodes', '--admin', new URL(node?.admin ?? assert.fail()).host]
}

function digestsOf({ manifest, config, layers }: ImageAdded): string[] {
  return [manifest, config, ...layers].sort()
}

test('one command warms an image on three agents, and upstream sends every byte once', async (t) => {
  const nodes = await swarm(t, {}, {}, {})
  const sizes = [700 * KIB, 90 * KIB, 100]
  const app = upstream.addImage(
    'app',
    'v1',
    sizes.map((size) => randomBytes(size)),
  )
  const first = await runAgent(['warm', 'up.test/app:v1', '--json', ...at(nodes[1])])
  assert.deepEqual([first.code, first.err], [0, ''])
  for (const node of nodes) assert.deepEqual((await node.storedDigests()).sort(), digestsOf(app))
  const sent = app.layers.map((layer) => upstream.bytesSent(layer))
  assert.deepEqual(sent, sizes)
  const events = first.out
    .trimEnd()
    .split('\n')
    .map((line) => v.parse(WarmLine, JSON.parse(line)))
  const nodeLines = events.flatMap((line) => (line.is === 'node' ? [line] : []))
  assert.equal(new Set(nodeLines.map(({ node }) => node.id)).size, 3)
  assert.equal(new Set(nodeLines.map(({ node }) => node.name)).size, 3)
  assert.deepEqual(
    nodeLines.map(({ images, failed, error }) => [images, failed, error]),
    Array(3).fill([1, 0, null]),
  )
  const done = events.at(-1)
  assert.ok(done?.is === 'done' && done.nodes === 3 && done.failedNodes === 0 && done.failed === 0)
  const again = await runInProcess(['warm', 'up.test/app:v1', ...at(nodes[0])])
  assert.deepEqual([again.code, again.err], [0, ''])
  const lines = again.out.trimEnd().split('\n')
  assert.equal(lines.length, 4)
  for (const line of lines.slice(0, 3)) {
    assert.match(line, /^warmed {2}\S+ {2}1 image, 79\d\.\d KiB in \d+m?s \(79\d\.\d KiB already stored\)$/)
  }
  assert.match(
    lines[3] ?? '',
    /^Warmed 1 image on 3 nodes with 2\.3 MiB in \d+m?s: 2\.3 MiB already stored\.$/,
  )
})

test('an error of several nodes is printed once with their names, and makes the exit code 1', async (t) => {
  const nodes = await swarm(t, {}, { allow: ['elsewhere.test/**'] }, { allow: ['elsewhere.test/**'] })
  upstream.addImage('app', 'v2', [randomBytes(KIB)])
  const { code, out, err } = await runAgent(['warm', 'up.test/app:v2', ...at(nodes[0])])
  assert.equal(code, 1)
  assert.match(err, /^agent: up\.test\/app:v2 may not be served by this agent; see --allow \(\S+, \S+\)\n$/)
  assert.match(out, /^failed {2}\S+ {2}0 of 1 image, /m)
  assert.match(out, /\nWarmed 1 image on 1 of 3 nodes with [^\n]+\n$/)
})

test('on a terminal, each node in progress has a line', async (t) => {
  const programs = requirePrograms(t, ['script'])
  if (programs === undefined) return
  const nodes = await swarm(t, {}, {})
  const [layer] = upstream.addImage('drawn', 'v1', [randomBytes(1024 * KIB)]).layers
  upstream.fault(layer ?? '', { stallAt: 512 * KIB })
  const terminal = new TerminalSession(t, programs.script, ['warm', 'up.test/drawn:v1', ...at(nodes[0])])
  const framesOf = (text: string) =>
    text.split('\u001b[J\u001b[A\u001b[K').map((frame) => frame.split('\r\u001b')[0]?.split('\r\n') ?? [])
  const total = /^0 of 2 nodes, \S+ \S+ of 2\.0 MiB, \S+ [KM]iB\/s, /
  await terminal.until((text) =>
    framesOf(text).some(
      (frame) =>
        frame.filter((line) => /\[=*> *\] +\d+%/.test(line)).length === 2 && total.test(frame[2] ?? ''),
    ),
  )
  upstream.release()
  assert.equal(await terminal.exitCode(), 0, terminal.out)
  for (const line of framesOf(terminal.out).slice(0, -1).flat()) assert.ok(line.length < 100, line)
  assert.match(terminal.out, /\r\nWarmed 1 image on 2 nodes with 2\.0 MiB .*\r\n$/)
})

test('--all-nodes fails without peers, and is wrong usage with --data', async (t) => {
  const node = await Node.start(t, upstream)
  const alone = await runInProcess(['warm', 'up.test/app:v1', ...at(node)])
  assert.deepEqual([alone.code, alone.out], [1, ''])
  assert.match(alone.err, /^agent: this agent has no peers; leave out --all-nodes, or [^\n]+\n$/)
  const data = await runInProcess(['warm', 'up.test/app:v1', '--all-nodes', '--data', folder])
  assert.equal(data.code, 2)
  assert.match(data.err, /^agent: --all-nodes needs a running agent; leave out --data\n$/)
})
