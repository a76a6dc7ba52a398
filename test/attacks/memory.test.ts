import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type AttackedAgent,
  type KnownContent,
  type Sample,
  sampleOf,
  startAttackedAgent,
  watchProcess,
} from '../../testkit/attacks/attacked-agent.ts'
import { Attacker } from '../../testkit/attacks/attacker.ts'
import { requestUntilWhole } from '../../testkit/attacks/honest-client.ts'
import { within } from '../../testkit/deadline.ts'
import {
  type ReceivedAnswer,
  type RequestOptions,
  requestHttp1,
  requestHttp2,
} from '../registry-api/test-server.ts'

const MIB = 1024 * 1024
/**
 * The most memory that an attack may cost. Without limits these attacks would use 400 MiB to 2 GiB. Over TLS written bytes
 * exist once more, encrypted, and the allocator of the C library returns them late on a busy machine.
 */
const MAX_GROWTH_BYTES = { plain: 96 * MIB, tls: 256 * MIB }
const HONEST_MS = 60_000
/** Longer than honest clients wait, so that the attack lasts until the test ends it. */
const HOLD_MS = 600_000
const ESTABLISH_MS = 3000
const RECOVERY_MS = 60_000
/** Allows for connections of honest clients that are still closing, and for files of the index. */
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
      `the attack ${name} costs the agent little memory and leaks no file descriptor (${tls ? 'TLS' : 'plain'})`,
      {
        timeout: 240_000,
      },
      (t) => assertCostsLittle(t, name, { tls }),
    )
  }
}

async function assertCostsLittle(t: TestContext, name: string, { tls }: { tls: boolean }): Promise<void> {
  if (process.platform !== 'linux') return t.skip('missing: /proc, to read the memory of the agent')
  const agent = await startAttackedAgent(t, { tls })
  await pull(agent, [200])
  const before = await sampleOf(agent)
  const attacker = await Attacker.start(t)
  const watch = watchProcess(agent)
  let most: Sample
  try {
    await attacker.attack(name, agent, { holdMs: HOLD_MS, establishMs: ESTABLISH_MS })
    await pull(agent, [200, 503])
    await attacker.kill()
  } finally {
    most = await watch.stop()
    t.diagnostic(`${describeSample(before)}, at most ${describeSample(most)}`)
  }
  const growth = most.rss - before.rss
  assert.ok(growth <= MAX_GROWTH_BYTES[tls ? 'tls' : 'plain'], `${Math.round(growth / MIB)} MiB more memory`)
  await assertDescriptorsReturn(agent, before)
  await pull(agent, [200])
}

async function pull(agent: AttackedAgent, allowed: readonly number[]): Promise<void> {
  await Promise.all(
    agent.honest.flatMap((known) =>
      [requestHttp1, requestHttp2].map((request) => assertAnswered(agent, request, known, allowed)),
    ),
  )
}

async function assertAnswered(
  { port, ca }: AttackedAgent,
  request: (port: number, path: string, options: RequestOptions) => Promise<ReceivedAnswer>,
  { path, bytes }: KnownContent,
  allowed: readonly number[],
): Promise<void> {
  const abort = new AbortController()
  const what = `${request === requestHttp1 ? 'HTTP/1.1' : 'HTTP/2'} ${path.slice(0, 35)}`
  try {
    const got = await within(
      HONEST_MS,
      what,
      requestUntilWhole(() => request(port, path, { ca, signal: abort.signal })),
    )
    assert.ok(allowed.includes(got.status) && !got.cut, `${what}: ${got.status}, cut ${got.cut}`)
    if (got.status === 200) assert.ok(got.body.equals(bytes), what)
  } finally {
    abort.abort()
  }
}

async function assertDescriptorsReturn(agent: AttackedAgent, before: Sample): Promise<void> {
  const deadline = performance.now() + RECOVERY_MS
  for (;;) {
    const { descriptors } = await sampleOf(agent)
    if (descriptors <= before.descriptors + SPARE_DESCRIPTORS) return
    assert.ok(
      performance.now() < deadline,
      `${descriptors} descriptors, ${before.descriptors} before the attack`,
    )
    await delay(50)
  }
}

function describeSample({ rss, descriptors }: Sample): string {
  return `${Math.round(rss / MIB)} MiB and ${descriptors} descriptors`
}
