import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Hand, handAt } from '../../testkit/lab/machine-process.ts'
import { namesOf, sweep } from '../../testkit/lab/namespaces.ts'
import { Network, type Place, type Rate } from '../../testkit/lab/network.ts'
import { requireNamespaces } from '../../testkit/lab/start-lab.ts'

const OCCUPANT = fileURLToPath(new URL('../../testkit/lab/programs/small-lab-program.js', import.meta.url))
const PORT = 7000
const MBIT = 1e6
const MISSED_MS = 500
/** Only what hangs takes so long, however busy the machine is. */
const REACHED_MS = 60_000
const STOPPED_MS = 60_000
const ENDED_MS = 60_000

interface Spot {
  readonly place: Place
  readonly hand: Hand
}

/** Places with somebody at each who takes whatever is sent there. */
async function spots(t: TestContext, rates: readonly (Rate | undefined)[]) {
  const network = new Network()
  t.after(() => network.close())
  const all = rates.map((rate, at): Spot => {
    const place = network.join(`spot-${at}`, rate)
    return { place, hand: handAt(place) }
  })
  await Promise.all(all.map(({ hand }) => hand.ask('drain', PORT)))
  t.after(() => Promise.all(all.map(({ hand }) => hand.stop())))
  const spot = (at: number): Spot => {
    const found = all[at]
    assert.ok(found)
    return found
  }
  /** Bits per second, of what is sent and not of what it is wrapped in. */
  const rateOf = async (from: number, to: number, bytes: number): Promise<number> => {
    const ms = await spot(from).hand.ask('pour', { host: spot(to).place.address, port: PORT, bytes })
    return (bytes * 8000) / ms
  }
  const reaches = (from: number, to: number, ms = REACHED_MS): Promise<boolean> =>
    spot(from).hand.ask('reach', { host: spot(to).place.address, port: PORT, ms })
  /** Nobody can say that it will never be, so it is waited for a little. */
  const misses = async (from: number, to: number): Promise<boolean> => !(await reaches(from, to, MISSED_MS))
  return { network, spot, rateOf, reaches, misses }
}

/** How close to it a link comes is for the bench to say: here others may have the processors. */
function assertNoFaster(rate: number, link: Rate, what: string): void {
  assert.ok(rate < 1.02 * link, `${what}: ${((100 * rate) / link).toFixed(1)} % of what it should be`)
}

test('a link is no faster than it is said to be, in both directions', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, spot, rateOf } = await spots(t, [32 * MBIT, 400 * MBIT, 400 * MBIT])

  await t.test('sending', async () => {
    assertNoFaster(await rateOf(0, 1, 4e6), 32 * MBIT, 'towards the switch')
  })
  await t.test('receiving', async () => {
    assertNoFaster(await rateOf(1, 0, 4e6), 32 * MBIT, 'from the switch')
  })
  await t.test('sending and receiving at once', async () => {
    const [out, back] = await Promise.all([rateOf(0, 1, 4e6), rateOf(2, 0, 4e6)])
    assertNoFaster(out, 32 * MBIT, 'towards the switch')
    assertNoFaster(back, 32 * MBIT, 'from the switch')
  })
  await t.test('shared by two who send', async () => {
    const startedAt = performance.now()
    await Promise.all([rateOf(1, 0, 2e6), rateOf(2, 0, 2e6)])
    const rate = (4e6 * 8000) / (performance.now() - startedAt)
    assertNoFaster(rate, 32 * MBIT, 'from the switch')
  })
  await t.test('after it was changed', async () => {
    network.setRate(spot(0).place, 16 * MBIT)
    assertNoFaster(await rateOf(1, 0, 2e6), 16 * MBIT, 'from the switch')
  })
})

test('what has gone over a link is counted', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, spot, rateOf } = await spots(t, [undefined, undefined])
  const before = network.traffic(spot(0).place)
  await rateOf(0, 1, 5e6)
  const after = network.traffic(spot(0).place)
  const sent = after.sent - before.sent
  // Besides headers there is what TCP has sent again.
  assert.ok(sent >= 5e6 && sent < 5e6 * 1.5, `${sent} bytes were sent`)
  assert.ok(after.received - before.received < sent / 2)
})

test('nobody is reached over a link that was cut, until it is mended', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, spot, reaches, misses } = await spots(t, [undefined, undefined, undefined])
  assert.ok(await reaches(0, 1))
  network.cut(spot(1).place)
  assert.deepEqual(await Promise.all([misses(0, 1), misses(1, 2), reaches(0, 2)]), [true, true, true])
  network.mend(spot(1).place)
  assert.deepEqual(await Promise.all([reaches(0, 1), reaches(1, 2)]), [true, true])
})

test('a partition is between its groups only, and heals', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, spot, reaches, misses } = await spots(t, [undefined, undefined, undefined, undefined])
  const [a, b, c] = [spot(0).place, spot(1).place, spot(2).place]
  network.partition([a, b], [c])
  assert.deepEqual(await Promise.all([misses(0, 2), misses(2, 1)]), [true, true], 'from one group to another')
  assert.ok(await reaches(0, 1), 'within a group')
  assert.deepEqual(await Promise.all([reaches(0, 3), reaches(3, 2)]), [true, true], 'who is in no group')
  network.heal()
  assert.deepEqual(await Promise.all([reaches(0, 2), reaches(2, 1)]), [true, true])
})

test('a partition stops what is on its way, and lets it go on when it heals', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, spot, rateOf } = await spots(t, [8 * MBIT, undefined])
  const [from, to] = [spot(0).place, spot(1).place]
  const received = (): number => network.traffic(to).received
  const bytes = 30e6
  const poured = rateOf(0, 1, bytes)
  while (received() < 1e5) await delay(10)
  network.partition([from], [to])
  // What was in the queues still comes.
  const deadline = Date.now() + STOPPED_MS
  for (let before = Number.NEGATIVE_INFINITY; received() - before > 5000; ) {
    assert.ok(Date.now() < deadline, 'it never stops')
    before = received()
    await delay(400)
  }
  assert.ok(received() < bytes, 'all of it has come')
  network.heal()
  network.setRate(from, 400 * MBIT)
  assert.ok((await poured) > 0)
})

/** Whoever has ended is of no interest, also while nobody has asked how. */
function lives(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

test('nothing is left of a lab', async (t) => {
  if (!requireNamespaces(t)) return
  const ended = async (how: string, signal?: NodeJS.Signals): Promise<void> => {
    const child = spawn(process.execPath, [OCCUPANT, how], { stdio: ['pipe', 'pipe', 'ignore'] })
    try {
      const exited = once(child, 'exit')
      const [said] = await once(child.stdout, 'data')
      const { prefix, pid } = JSON.parse(String(said))
      assert.equal(namesOf(prefix).length, 2, 'the switch and a place')
      child.stdin.on('error', () => {})
      if (signal === undefined) child.stdin.write('now')
      else child.kill(signal)
      await exited
      // What is left by one that was killed is removed by the next, whoever that is.
      if (signal === 'SIGKILL') sweep()
      assert.deepEqual(namesOf(prefix), [])
      const deadline = Date.now() + ENDED_MS
      while (lives(pid)) {
        assert.ok(Date.now() < deadline, 'the process at the place lives')
        await delay(10)
      }
    } finally {
      child.kill('SIGKILL')
    }
  }

  await t.test('that was closed', () => ended('close'))
  await t.test('whose process failed', () => ended('fail'))
  await t.test('whose process was ended by a signal', () => ended('wait', 'SIGTERM'))
  await t.test('whose process was killed, once there is another one', () => ended('wait', 'SIGKILL'))
})
