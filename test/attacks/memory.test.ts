import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type AttackedAgent,
  type Known,
  type Sample,
  sampleOf,
  startAttackedAgent,
  watchProcess,
} from '../../testkit/attacked-agent.ts'
import { Attacker } from '../../testkit/attacks/attacker.ts'
import { wholeAnswer } from '../../testkit/attacks/honest.ts'
import { within } from '../../testkit/deadline.ts'
import {
  type ReceivedAnswer,
  type RequestOptions,
  requestHttp1,
  requestHttp2,
} from '../registry-api/test-server.ts'

const MIB = 1024 * 1024
/**
 * Of attacks that would take 400 MiB to 2 GiB if each got what it asks for. Over TLS all that is written is there once
 * more, encrypted, and how soon the allocator of the C library gives it back depends on how busy the machine is.
 */
const GROWTH_BYTES = { plain: 96 * MIB, tls: 256 * MIB }
const HONEST_MS = 60_000
/** Until it is told to leave, and longer than honest clients wait. */
const HOLD_MS = 600_000
const IN_PLACE_MS = 3000
const LEFT_MS = 60_000
/** Connections that honest clients leave open for a moment, and the index's own files. */
const SPARE_DESCRIPTORS = 10

for (const tls of [false, true]) {
  for (const name of [
    'h2-stalled-manifest',
    'h2-stalled-manifest-many',
    'h2-too-many-streams',
    'h1-stalled-manifest',
    'h1-slow-manifest',
    'h1-slow-blob',
    'h2-closed-windows-blob',
    'h1-steady-blob',
    'h2-download-fin',
    'h2-download-cancel',
  ]) {
    test(
      `the attack ${name} costs the agent little memory and no descriptor (${tls ? 'TLS' : 'plain'})`,
      {
        timeout: 240_000,
      },
      (t) => costsLittle(t, name, { tls }),
    )
  }
}

async function costsLittle(t: TestContext, name: string, { tls }: { tls: boolean }): Promise<void> {
  if (process.platform !== 'linux') return t.skip('missing: /proc, to look at the memory of an agent')
  const agent = await startAttackedAgent(t, { tls })
  await pull(agent, [200])
  const before = await sampleOf(agent)
  const attacker = await Attacker.start(t)
  const watch = watchProcess(agent)
  let most: Sample
  try {
    await attacker.attack(name, agent, { holdMs: HOLD_MS, inPlaceMs: IN_PLACE_MS })
    await pull(agent, [200, 503])
    await attacker.kill()
  } finally {
    most = await watch.stop()
    t.diagnostic(`${mebibytes(before)}, at most ${mebibytes(most)}`)
  }
  const growth = most.rss - before.rss
  assert.ok(growth <= GROWTH_BYTES[tls ? 'tls' : 'plain'], `${Math.round(growth / MIB)} MiB more`)
  await descriptorsReturn(agent, before)
  await pull(agent, [200])
}

async function pull(agent: AttackedAgent, allowed: readonly number[]): Promise<void> {
  await Promise.all(
    agent.honest.flatMap((known) =>
      [requestHttp1, requestHttp2].map((by) => answered(agent, by, known, allowed)),
    ),
  )
}

async function answered(
  { port, ca }: AttackedAgent,
  by: (port: number, path: string, options: RequestOptions) => Promise<ReceivedAnswer>,
  { path, bytes }: Known,
  allowed: readonly number[],
): Promise<void> {
  const over = new AbortController()
  const what = `${by === requestHttp1 ? 'HTTP/1.1' : 'HTTP/2'} ${path.slice(0, 35)}`
  try {
    const got = await within(
      HONEST_MS,
      what,
      wholeAnswer(() => by(port, path, { ca, signal: over.signal })),
    )
    assert.ok(allowed.includes(got.status) && !got.cut, `${what}: ${got.status}, cut ${got.cut}`)
    if (got.status === 200) assert.ok(got.body.equals(bytes), what)
  } finally {
    over.abort()
  }
}

async function descriptorsReturn(agent: AttackedAgent, before: Sample): Promise<void> {
  const deadline = performance.now() + LEFT_MS
  for (;;) {
    const { descriptors } = await sampleOf(agent)
    if (descriptors <= before.descriptors + SPARE_DESCRIPTORS) return
    assert.ok(
      performance.now() < deadline,
      `${descriptors} descriptors, and there were ${before.descriptors}`,
    )
    await delay(50)
  }
}

function mebibytes({ rss, descriptors }: Sample): string {
  return `${Math.round(rss / MIB)} MiB and ${descriptors} descriptors`
}
