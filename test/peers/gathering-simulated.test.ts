import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Simulation, simulate } from '../../testkit/simulation/simulate.ts'

const MIB = 2 ** 20
const LINK = 8_000_000
const LAYERS = [16 * MIB, 16 * MIB, 16 * MIB, 16 * MIB]
/** In milliseconds, over one link. */
const IMAGE = (1000 * 64 * MIB) / LINK
/** Of as many runs as are asked for; so, too, the sizes and places that take longest. */
const RUNS = Number(process.env['LEAT_RUNS'] ?? 1)
const SEEDS = Array.from({ length: RUNS }, (_, at) => at + 1)

const pull = (more: Partial<Simulation> = {}) =>
  simulate({
    members: 16,
    linkBytesPerSecond: LINK,
    upstreamBytesPerSecond: LINK,
    layers: LAYERS,
    seed: 1,
    ...more,
  })

/** Of each member: its speed in parts of its link's. */
const speeds = (perMember: ReturnType<typeof pull>['perMember']): number[] =>
  perMember.map(({ joinedMs, doneMs = Number.POSITIVE_INFINITY }) => IMAGE / (doneMs - joinedMs))

for (const seed of SEEDS) {
  test(`16 have the image soon after upstream has given it once, seed ${seed}`, () => {
    const slow = pull({ seed, upstreamBytesPerSecond: LINK / 4 })
    assert.ok(slow.lastMs <= 1.15 * 4 * IMAGE, `${slow.lastMs} ms`)
    const fast = pull({ seed })
    assert.ok(fast.lastMs <= 1.15 * IMAGE, `${fast.lastMs} ms`)
    for (const { egressRatio } of [slow, fast]) assert.ok(Math.abs(egressRatio - 1) < 0.001, `${egressRatio}`)
  })

  test(`when 30 % are killed, owners among them, the others go on from where they are, seed ${seed}`, () => {
    const undisturbed = pull({ seed }).lastMs
    for (const atMs of [500, 4000, 7500]) {
      const { lastMs, egressRatio } = pull({ seed, kills: [{ atMs, share: 0.3, owners: 2 }] })
      assert.ok(lastMs <= 1.35 * undisturbed, `${lastMs} ms`)
      assert.ok(egressRatio <= 1.1, `${egressRatio}`)
    }
  })

  test(`when half of them vanish, all owners among them, the others go on from where they are, seed ${seed}`, () => {
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

  test(`when 30 % fall silent, that costs the time until it is noticed, seed ${seed}`, () => {
    const undisturbed = pull({ seed }).lastMs
    const { lastMs, egressRatio } = pull({
      seed,
      kills: [{ atMs: 4000, share: 0.3, owners: 1, silent: true }],
    })
    assert.ok(lastMs <= undisturbed + 7000, `${lastMs} ms`)
    assert.ok(egressRatio <= 1.1, `${egressRatio}`)
  })
}

test('who comes later gets it at the speed of its link, one by one or all at once', () => {
  const rolling = pull({ joinsAtMs: (member) => member * 3000 })
  for (const speed of speeds(rolling.perMember)) assert.ok(speed > 0.9, `${speed}`)
  const burst = pull({ members: 32, joinsAtMs: (member) => (member < 16 ? 0 : 20_000) })
  for (const speed of speeds(burst.perMember)) assert.ok(speed > 0.9, `${speed}`)
  for (const { egressRatio } of [rolling, burst]) assert.ok(egressRatio < 1.001)
})

test('who takes layers of different sizes beside each other is not taken for slow by those that follow', () => {
  const layers = [28 * MIB, 20 * MIB, 12 * MIB, 4 * MIB]
  for (const seed of SEEDS) {
    const rolling = pull({ seed, layers, joinsAtMs: (member) => member * 4000 })
    for (const speed of speeds(rolling.perMember)) assert.ok(speed > 0.75, `seed ${seed}: ${speed}`)
  }
})

test('what is of another zone comes over once for each zone', () => {
  const { lastMs, crossings } = pull({ members: 15, zones: 3 })
  assert.ok(lastMs <= 1.15 * IMAGE, `${lastMs} ms`)
  assert.ok(crossings < 2.01, `${crossings}`)
})

test('a slow member soon holds up nobody but itself', () => {
  const { perMember, egressRatio } = pull({ speed: (member) => (member === 5 ? 1 / 8 : 1) })
  const others = perMember.filter((_, member) => member !== 5).map(({ doneMs = 0 }) => doneMs)
  assert.ok(Math.max(...others) < IMAGE + 6000, `${others}`)
  assert.ok(egressRatio < 1.01, `${egressRatio}`)
})

/** Milliseconds that all but the slow ones of eight need beyond what one link takes. */
function heldUp(mebibytes: number, slow: readonly number[], more: Partial<Simulation> = {}): number {
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

/** With the seed of these tests this one is the owner, and brings the first layer from upstream. */
const FIRST = 3
/** Those behind it, one after the other. */
const BEHIND = [6, 0, 4, 5, 1, 7, 2]
const SOME_BEHIND = RUNS > 1 ? BEHIND : [6, 5, 2]

test('wherever in the chain a slow member stands, it holds up the others for two seconds at most', () => {
  for (const mebibytes of [8, 24, 96]) {
    for (const slow of mebibytes === 96 ? SOME_BEHIND : BEHIND) {
      const ms = heldUp(mebibytes, [slow])
      assert.ok(ms < 2100, `${slow}, ${mebibytes} MiB: ${ms} ms`)
    }
  }
})

test('so do two of them, each for itself', () => {
  for (const [at, slow] of BEHIND.entries()) {
    for (const other of BEHIND.slice(at + 1)) {
      const ms = heldUp(24, [slow, other])
      assert.ok(ms < 4500, `${slow} and ${other}: ${ms} ms`)
    }
  }
})

test('also at the head of a zone', () => {
  for (const slow of BEHIND) {
    const ms = heldUp(24, [slow], { zones: 2 })
    assert.ok(ms < 3000, `${slow}: ${ms} ms`)
  }
})

test('also behind one that has had it all for long', () => {
  for (const slow of BEHIND) {
    const joinsAtMs = (member: number): number => (member === FIRST ? 0 : member === slow ? 39_900 : 40_000)
    const ms = heldUp(24, [slow], { joinsAtMs }) - 40_000
    assert.ok(ms < 2500, `${slow}: ${ms} ms`)
  }
})

test('where it is the one before them that is faster than all others, these stay behind each other', () => {
  const ms = heldUp(96, [], {
    speed: (member) => (member === FIRST ? 4 : 1),
    upstreamBytesPerSecond: 4 * LINK,
  })
  assert.ok(ms < 2500, `${ms} ms`)
})

test('64 of which some have a small image and some a large one', () => {
  for (const layers of [LAYERS, [MIB, MIB, MIB, MIB], [64 * MIB]]) {
    const { lastMs, boundMs, egressRatio } = pull({ members: 64, layers })
    assert.ok(lastMs <= 2.5 * boundMs, `${lastMs} ms`)
    assert.ok(egressRatio < 1.001, `${egressRatio}`)
  }
})

/** As they have pulled before, over the links that they have. */
const withPast = (slow: readonly number[]): Partial<Simulation> => ({
  best: (member) => (slow.includes(member) ? 0.15 : 1) * LINK,
})

test('where it is the first one that is slow, the others have it as soon as that is seen', () => {
  for (const mebibytes of [24, 96]) {
    const alone = heldUp(mebibytes, [FIRST], withPast([FIRST]))
    assert.ok(alone < 4000, `${mebibytes} MiB: ${alone} ms`)
    for (const other of mebibytes === 96 ? SOME_BEHIND : BEHIND) {
      const slow = [FIRST, other]
      const ms = heldUp(mebibytes, slow, withPast(slow))
      assert.ok(ms < 6500, `${slow}, ${mebibytes} MiB: ${ms} ms`)
    }
  }
})

test('so it is with an image of some layers', () => {
  const { perMember, egressRatio } = pull({
    members: 8,
    speed: (member) => (member === FIRST ? 0.15 : 1),
    ...withPast([FIRST]),
  })
  const others = perMember.filter((_, member) => member !== FIRST).map(({ doneMs = 0 }) => doneMs)
  assert.ok(Math.max(...others) < IMAGE + 6000, `${others}`)
  assert.ok(egressRatio < 1.01, `${egressRatio}`)
})

test('where upstream is slow and all links are alike, it stays with the first one', () => {
  for (const seed of SEEDS) {
    for (const part of [2, 8]) {
      for (const layers of [LAYERS, [24 * MIB]]) {
        const upstreamBytesPerSecond = LINK / part
        const { sent, egressRatio } = pull({ seed, layers, upstreamBytesPerSecond, ...withPast([]) })
        assert.equal(sent, layers.length, `${layers.length} layers, 1/${part}`)
        assert.ok(Math.abs(egressRatio - 1) < 0.001, `${egressRatio}`)
      }
    }
  }
})

test('one that says that it is faster than it is costs hardly anything', () => {
  for (const liar of BEHIND) {
    const best = (member: number): number => (member === liar ? 1e12 : 0.15 * LINK)
    const { lastMs, sent, egressRatio } = pull({ members: 8, layers: [24 * MIB], speed: () => 0.15, best })
    assert.equal(sent, 2, `${liar}`)
    assert.ok(lastMs < (1.1 * 1000 * 24 * MIB) / (0.15 * LINK), `${liar}: ${lastMs} ms`)
    assert.ok(egressRatio < 1.05, `${liar}: ${egressRatio}`)
  }
})
