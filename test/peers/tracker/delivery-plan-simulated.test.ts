import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PullSimulation } from '../../../testkit/simulation/pull/pull-options.ts'
import { simulatePull } from '../../../testkit/simulation/pull/simulate-pull.ts'

const MIB = 2 ** 20
const LINK = 8_000_000
const LAYERS = [16 * MIB, 16 * MIB, 16 * MIB, 16 * MIB]
/** How long one link takes for the image. */
const IMAGE_MS = (1000 * 64 * MIB) / LINK
/** How many seeds are tried; with more than one, all positions of a slow member in large images are tried, too. */
const RUNS = Number(process.env['LEAT_RUNS'] ?? 1)
const SEEDS = Array.from({ length: RUNS }, (_, at) => at + 1)

const pull = (more: Partial<PullSimulation> = {}) =>
  simulatePull({
    members: 16,
    linkBytesPerSecond: LINK,
    upstreamBytesPerSecond: LINK,
    layers: LAYERS,
    seed: 1,
    ...more,
  })

/** How fast each member got the image, as a part of the rate of its link. */
const linkUse = (perMember: ReturnType<typeof pull>['perMember']): number[] =>
  perMember.map(({ joinedMs, doneMs = Number.POSITIVE_INFINITY }) => IMAGE_MS / (doneMs - joinedMs))

for (const seed of SEEDS) {
  test(`16 members have the image soon after upstream has sent it once, seed ${seed}`, () => {
    const slow = pull({ seed, upstreamBytesPerSecond: LINK / 4 })
    assert.ok(slow.lastMs <= 1.15 * 4 * IMAGE_MS, `${slow.lastMs} ms`)
    const fast = pull({ seed })
    assert.ok(fast.lastMs <= 1.15 * IMAGE_MS, `${fast.lastMs} ms`)
    for (const { egressRatio } of [slow, fast]) assert.ok(Math.abs(egressRatio - 1) < 0.001, `${egressRatio}`)
  })

  test(`when 30 % are killed, owners among them, the others go on at their positions, seed ${seed}`, () => {
    const undisturbed = pull({ seed }).lastMs
    for (const atMs of [500, 4000, 7500]) {
      const { lastMs, egressRatio } = pull({ seed, kills: [{ atMs, share: 0.3, owners: 2 }] })
      assert.ok(lastMs <= 1.35 * undisturbed, `${lastMs} ms`)
      assert.ok(egressRatio <= 1.1, `${egressRatio}`)
    }
  })

  test(`when half of the members are killed, all owners among them, the others go on at their positions, seed ${seed}`, () => {
    const undisturbed = pull({ seed }).lastMs
    for (const atMs of [500, 4000, 7500]) {
      for (const silent of [false, true]) {
        const kills = [{ atMs, share: 0.5, owners: LAYERS.length, silent }]
        const { lastMs, egressRatio, perMember } = pull({ seed, kills })
        assert.equal(perMember.filter(({ doneMs }) => doneMs !== undefined).length, 8)
        assert.ok(lastMs <= 1.15 * undisturbed + (silent ? 4000 : 0), `${lastMs} ms`)
        assert.ok(egressRatio <= 1.02, `${egressRatio}`)
      }
    }
  })

  test(`when 30 % fall silent, the others lose the time until that is noticed, seed ${seed}`, () => {
    const undisturbed = pull({ seed }).lastMs
    const { lastMs, egressRatio } = pull({
      seed,
      kills: [{ atMs: 4000, share: 0.3, owners: 1, silent: true }],
    })
    assert.ok(lastMs <= undisturbed + 7000, `${lastMs} ms`)
    assert.ok(egressRatio <= 1.1, `${egressRatio}`)
  })
}

test('members that join later get the image at the rate of their link, one by one or all at once', () => {
  const rolling = pull({ joinsAtMs: (member) => member * 3000 })
  for (const speed of linkUse(rolling.perMember)) assert.ok(speed > 0.9, `${speed}`)
  const burst = pull({ members: 32, joinsAtMs: (member) => (member < 16 ? 0 : 20_000) })
  for (const speed of linkUse(burst.perMember)) assert.ok(speed > 0.9, `${speed}`)
  for (const { egressRatio } of [rolling, burst]) assert.ok(egressRatio < 1.001)
})

test('a member that takes layers of different sizes at the same time is not taken for slow', () => {
  const layers = [28 * MIB, 20 * MIB, 12 * MIB, 4 * MIB]
  for (const seed of SEEDS) {
    const rolling = pull({ seed, layers, joinsAtMs: (member) => member * 4000 })
    for (const speed of linkUse(rolling.perMember)) assert.ok(speed > 0.75, `seed ${seed}: ${speed}`)
  }
})

test('the image enters each other zone once', () => {
  const { lastMs, crossings } = pull({ members: 15, zones: 3 })
  assert.ok(lastMs <= 1.15 * IMAGE_MS, `${lastMs} ms`)
  assert.ok(crossings < 2.01, `${crossings}`)
})

test('a slow member soon holds up no other one', () => {
  const { perMember, egressRatio } = pull({ speed: (member) => (member === 5 ? 1 / 8 : 1) })
  const others = perMember.filter((_, member) => member !== 5).map(({ doneMs = 0 }) => doneMs)
  assert.ok(Math.max(...others) < IMAGE_MS + 6000, `${others}`)
  assert.ok(egressRatio < 1.01, `${egressRatio}`)
})

/** How many milliseconds longer than one link takes all but the slow ones of eight members need. */
function delayMs(mebibytes: number, slow: readonly number[], more: Partial<PullSimulation> = {}): number {
  const { perMember, egressRatio } = pull({
    members: 8,
    layers: [mebibytes * MIB],
    speed: (member) => (slow.includes(member) ? 0.15 : 1),
    ...more,
  })
  assert.ok(egressRatio < (more.best === undefined ? 1.001 : 1.02), `${egressRatio}`)
  const others = perMember.filter((_, member) => !slow.includes(member))
  const last = Math.max(...others.map(({ doneMs = 0 }) => doneMs))
  return last - (1000 * mebibytes * MIB) / LINK
}

/** With the seed of these tests this member is the owner and fetcher of the first layer. */
const FETCHER = 3
/** The members of the chain below the fetcher, from top to bottom. */
const CHAIN = [6, 0, 4, 5, 1, 7, 2]
const SOME_OF_CHAIN = RUNS > 1 ? CHAIN : [6, 5, 2]

test('wherever a slow member is in the chain, it delays the others by two seconds at most', () => {
  for (const mebibytes of [8, 24, 96]) {
    for (const slow of mebibytes === 96 ? SOME_OF_CHAIN : CHAIN) {
      const ms = delayMs(mebibytes, [slow])
      assert.ok(ms < 2100, `${slow}, ${mebibytes} MiB: ${ms} ms`)
    }
  }
})

test('two slow members in the chain delay the others by four and a half seconds at most', () => {
  for (const [at, slow] of CHAIN.entries()) {
    for (const other of CHAIN.slice(at + 1)) {
      const ms = delayMs(24, [slow, other])
      assert.ok(ms < 4500, `${slow} and ${other}: ${ms} ms`)
    }
  }
})

test('a slow member that is the first of its zone delays the others by three seconds at most', () => {
  for (const slow of CHAIN) {
    const ms = delayMs(24, [slow], { zones: 2 })
    assert.ok(ms < 3000, `${slow}: ${ms} ms`)
  }
})

test('a slow member below a seeder delays the others by two and a half seconds at most', () => {
  for (const slow of CHAIN) {
    const joinsAtMs = (member: number): number => (member === FETCHER ? 0 : member === slow ? 39_900 : 40_000)
    const ms = delayMs(24, [slow], { joinsAtMs }) - 40_000
    assert.ok(ms < 2500, `${slow}: ${ms} ms`)
  }
})

test('below a fetcher that is faster than all others, the others stay in one chain', () => {
  const ms = delayMs(96, [], {
    speed: (member) => (member === FETCHER ? 4 : 1),
    upstreamBytesPerSecond: 4 * LINK,
  })
  assert.ok(ms < 2500, `${ms} ms`)
})

test('64 members get small and large images in a bounded time', () => {
  for (const layers of [LAYERS, [MIB, MIB, MIB, MIB], [64 * MIB]]) {
    const { lastMs, boundMs, egressRatio } = pull({ members: 64, layers })
    assert.ok(lastMs <= 2.5 * boundMs, `${lastMs} ms`)
    assert.ok(egressRatio < 1.001, `${egressRatio}`)
  }
})

/** All members have pulled before, so each knows the true rate of its link. */
const withKnownRates = (slow: readonly number[]): Partial<PullSimulation> => ({
  best: (member) => (slow.includes(member) ? 0.15 : 1) * LINK,
})

test('when the fetcher is slow, another one is found within seconds', () => {
  for (const mebibytes of [24, 96]) {
    const alone = delayMs(mebibytes, [FETCHER], withKnownRates([FETCHER]))
    assert.ok(alone < 4000, `${mebibytes} MiB: ${alone} ms`)
    for (const other of mebibytes === 96 ? SOME_OF_CHAIN : CHAIN) {
      const slow = [FETCHER, other]
      const ms = delayMs(mebibytes, slow, withKnownRates(slow))
      assert.ok(ms < 6500, `${slow}, ${mebibytes} MiB: ${ms} ms`)
    }
  }
})

test('when the fetcher of one of several layers is slow, the others have the image within seconds', () => {
  const { perMember, egressRatio } = pull({
    members: 8,
    speed: (member) => (member === FETCHER ? 0.15 : 1),
    ...withKnownRates([FETCHER]),
  })
  const others = perMember.filter((_, member) => member !== FETCHER).map(({ doneMs = 0 }) => doneMs)
  assert.ok(Math.max(...others) < IMAGE_MS + 6000, `${others}`)
  assert.ok(egressRatio < 1.01, `${egressRatio}`)
})

test('when upstream is slow and all links are equal, the first fetcher keeps its role', () => {
  for (const seed of SEEDS) {
    for (const part of [2, 8]) {
      for (const layers of [LAYERS, [24 * MIB]]) {
        const upstreamBytesPerSecond = LINK / part
        const { fetchInstructions, egressRatio } = pull({
          seed,
          layers,
          upstreamBytesPerSecond,
          ...withKnownRates([]),
        })
        assert.equal(fetchInstructions, layers.length, `${layers.length} layers, 1/${part}`)
        assert.ok(Math.abs(egressRatio - 1) < 0.001, `${egressRatio}`)
      }
    }
  }
})

test('a member that claims a false rate costs the others hardly any time', () => {
  for (const liar of CHAIN) {
    const best = (member: number): number => (member === liar ? 1e12 : 0.15 * LINK)
    const { lastMs, fetchInstructions, egressRatio } = pull({
      members: 8,
      layers: [24 * MIB],
      speed: () => 0.15,
      best,
    })
    assert.equal(fetchInstructions, 2, `${liar}`)
    assert.ok(lastMs < (1.1 * 1000 * 24 * MIB) / (0.15 * LINK), `${liar}: ${lastMs} ms`)
    assert.ok(egressRatio < 1.05, `${liar}: ${egressRatio}`)
  }
})
