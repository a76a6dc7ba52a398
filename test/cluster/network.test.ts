import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Hand, handAt } from './hand.ts'
import { namesOf, sweep } from './namespaces.ts'
import { Network, type Place, type Rate } from './network.ts'
import { requireNamespaces } from './setting.ts'

const OCCUPANT = fileURLToPath(new URL('./occupant-program.js', import.meta.url))
const PORT = 7000
const MBIT = 1e6

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
  const reaches = async (from: number, to: number): Promise<boolean> => {
    const door = { host: spot(to).place.address, port: PORT, tls: false, bytes: Buffer.of(), ms: 300 }
    return (await spot(from).hand.ask('knock', door)).connected
  }
  return { network, spot, rateOf, reaches }
}

function assertWithin(value: number, wanted: number, what: string): void {
  const ratio = value / wanted
  assert.ok(ratio > 0.9 && ratio < 1.02, `${what}: ${(ratio * 100).toFixed(1)} % of what it should be`)
}

test('a link is as fast as it is said to be, in both directions', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, spot, rateOf } = await spots(t, [32 * MBIT, 400 * MBIT, 400 * MBIT])

  await t.test('sending', async () => {
    assertWithin(await rateOf(0, 1, 8e6), 32 * MBIT, 'towards the switch')
  })
  await t.test('receiving', async () => {
    assertWithin(await rateOf(1, 0, 8e6), 32 * MBIT, 'from the switch')
  })
  await t.test('sending and receiving at once', async () => {
    const [out, back] = await Promise.all([rateOf(0, 1, 8e6), rateOf(2, 0, 8e6)])
    assertWithin(out, 32 * MBIT, 'towards the switch')
    assertWithin(back, 32 * MBIT, 'from the switch')
  })
  await t.test('shared by two who send', async () => {
    const [one, other] = await Promise.all([rateOf(1, 0, 4e6), rateOf(2, 0, 4e6)])
    assertWithin(2 * Math.min(one, other), 32 * MBIT, 'from the switch')
  })
  await t.test('after it was changed', async () => {
    network.setRate(spot(0).place, 16 * MBIT)
    assertWithin(await rateOf(1, 0, 4e6), 16 * MBIT, 'from the switch')
  })
})

test('what has gone over a link is counted', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, spot, rateOf } = await spots(t, [undefined, undefined])
  const before = network.traffic(spot(0).place)
  await rateOf(0, 1, 5e6)
  const after = network.traffic(spot(0).place)
  const sent = after.sent - before.sent
  assert.ok(sent >= 5e6 && sent < 5e6 * 1.06, `${sent} bytes were sent`)
  assert.ok(after.received - before.received < 5e5)
})

test('nobody is reached over a link that was cut, until it is mended', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, spot, reaches } = await spots(t, [undefined, undefined, undefined])
  assert.ok(await reaches(0, 1))
  network.cut(spot(1).place)
  assert.deepEqual([await reaches(0, 1), await reaches(1, 2), await reaches(0, 2)], [false, false, true])
  network.mend(spot(1).place)
  assert.deepEqual([await reaches(0, 1), await reaches(1, 2)], [true, true])
})

test('a partition is between its groups only, and heals', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, spot, reaches } = await spots(t, [undefined, undefined, undefined, undefined])
  const [a, b, c] = [spot(0).place, spot(1).place, spot(2).place]
  network.partition([a, b], [c])
  assert.deepEqual([await reaches(0, 2), await reaches(2, 1)], [false, false], 'from one group to another')
  assert.ok(await reaches(0, 1), 'within a group')
  assert.deepEqual([await reaches(0, 3), await reaches(3, 2)], [true, true], 'who is in no group')
  network.heal()
  assert.deepEqual([await reaches(0, 2), await reaches(2, 1)], [true, true])
})

test('a partition stops what is on its way, and lets it go on when it heals', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, spot, rateOf } = await spots(t, [8 * MBIT, undefined])
  const [from, to] = [spot(0).place, spot(1).place]
  const received = (): number => network.traffic(to).received
  const poured = rateOf(0, 1, 1e6)
  while (received() < 1e5) await delay(10)
  network.partition([from], [to])
  // What was in the queues still comes.
  await delay(100)
  const before = received()
  await delay(400)
  assert.ok(before < 1e6 && received() - before < 5000, `${received() - before} bytes came`)
  network.heal()
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
    const child = spawn(process.execPath, [OCCUPANT, how], { stdio: ['ignore', 'pipe', 'ignore'] })
    const closed = once(child, 'close')
    const [said] = await once(child.stdout, 'data')
    const { prefix, pid } = JSON.parse(String(said))
    assert.equal(namesOf(prefix).length, 2, 'the switch and a place')
    if (signal !== undefined) child.kill(signal)
    await closed
    if (signal === 'SIGKILL') {
      assert.equal(namesOf(prefix).length, 2)
      sweep()
    }
    assert.deepEqual(namesOf(prefix), [])
    const deadline = Date.now() + 5000
    while (lives(pid)) {
      assert.ok(Date.now() < deadline, 'the process at the place lives')
      await delay(10)
    }
  }

  await t.test('that was closed', () => ended('close'))
  await t.test('whose process failed', () => ended('fail'))
  await t.test('whose process was ended by a signal', () => ended('wait', 'SIGTERM'))
  await t.test('whose process was killed, once there is another one', () => ended('wait', 'SIGKILL'))
})
