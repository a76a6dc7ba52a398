import type { PullSimulation } from './pull/pull-options.ts'
import { simulatePull } from './pull/simulate-pull.ts'

/** Prints how long simulated clusters take. Arguments choose the cases whose names contain them. */
const MIB = 2 ** 20
const LINK = 8_000_000
const fourLayers = (mebibytes: number): number[] => Array.from({ length: 4 }, () => mebibytes * MIB)

type Case = Partial<PullSimulation> & { readonly members: number }

const CASES: Readonly<Record<string, Case>> = {
  '16, upstream a quarter of a link': { members: 16, upstreamBytesPerSecond: LINK / 4 },
  '16, upstream as fast as a link': { members: 16 },
  '16, 30 % killed': { members: 16, kills: [{ atMs: 4000, share: 0.3, owners: 2 }] },
  '16, 30 % silenced': { members: 16, kills: [{ atMs: 4000, share: 0.3, owners: 2, silent: true }] },
  '16 in 3 zones': { members: 16, zones: 3 },
  '16, one with an eighth of the speed': { members: 16, speed: (member) => (member === 5 ? 1 / 8 : 1) },
  '16, one every 3 s': { members: 16, joinsAtMs: (member) => member * 3000 },
  '100, 64 MiB': { members: 100 },
  '100, 1 GiB': { members: 100, layers: fourLayers(256) },
  '1,000, 64 MiB': { members: 1000 },
  '1,000, 64 MiB in one layer': { members: 1000, layers: [64 * MIB] },
  '1,000, 64 MiB, 30 % killed': { members: 1000, kills: [{ atMs: 5000, share: 0.3, owners: 2 }] },
  '1,000, 1 GiB': { members: 1000, layers: fourLayers(256) },
  '5,000, 64 MiB': { members: 5000 },
}

const COLUMNS = ['last s', 'bound s', 'ratio', 'egress', 'depth', 'instr.', 'took s']

const filters = process.argv.slice(2)
console.log('members, image'.padEnd(38), ...COLUMNS.map((title) => title.padStart(8)))
for (const [name, options] of Object.entries(CASES)) {
  if (filters.some((filter) => !name.includes(filter))) continue
  const result = simulatePull({
    linkBytesPerSecond: LINK,
    upstreamBytesPerSecond: LINK,
    layers: fourLayers(16),
    seed: 1,
    ...options,
  })
  const { lastMs, boundMs, egressRatio, maxDepth, instructions, wallMs } = result
  const cells = [lastMs / 1000, boundMs / 1000, lastMs / boundMs, egressRatio]
    .map((value) => value.toFixed(2))
    .concat(`${maxDepth}`, `${instructions}`, (wallMs / 1000).toFixed(1))
  console.log(name.padEnd(38), ...cells.map((cell) => cell.padStart(8)))
}
