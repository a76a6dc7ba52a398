import { type Simulation, simulate } from './simulate.ts'

/** Prints how long clusters take, by simulation; words choose the cases. After `npm run build:test`. */
const MIB = 2 ** 20
const LINK = 8_000_000
const four = (mebibytes: number): number[] => Array.from({ length: 4 }, () => mebibytes * MIB)

type Case = Partial<Simulation> & { readonly members: number }

const CASES: Readonly<Record<string, Case>> = {
  '16, upstream a quarter of a link': { members: 16, upstreamBytesPerSecond: LINK / 4 },
  '16, upstream as fast as a link': { members: 16 },
  '16, 30 % killed': { members: 16, kills: [{ atMs: 4000, share: 0.3, owners: 2 }] },
  '16, 30 % silenced': { members: 16, kills: [{ atMs: 4000, share: 0.3, owners: 2, silent: true }] },
  '16 in 3 zones': { members: 16, zones: 3 },
  '16, one with an eighth of the speed': { members: 16, speed: (member) => (member === 5 ? 1 / 8 : 1) },
  '16, one every 3 s': { members: 16, joinsAtMs: (member) => member * 3000 },
  '100, 64 MiB': { members: 100 },
  '100, 1 GiB': { members: 100, layers: four(256) },
  '1,000, 64 MiB': { members: 1000 },
  '1,000, 64 MiB in one layer': { members: 1000, layers: [64 * MIB] },
  '1,000, 64 MiB, 30 % killed': { members: 1000, kills: [{ atMs: 5000, share: 0.3, owners: 2 }] },
  '1,000, 1 GiB': { members: 1000, layers: four(256) },
  '5,000, 64 MiB': { members: 5000 },
}

const words = process.argv.slice(2)
console.log(
  'members, image'.padEnd(38),
  ...['last s', 'bound s', 'ratio', 'egress', 'steps', 'orders', 'took s'].map((head) => head.padStart(8)),
)
for (const [name, one] of Object.entries(CASES)) {
  if (words.some((word) => !name.includes(word))) continue
  const done = simulate({
    linkBytesPerSecond: LINK,
    upstreamBytesPerSecond: LINK,
    layers: four(16),
    seed: 1,
    ...one,
  })
  const { lastMs, boundMs, egressRatio, depth, orders, wallMs } = done
  const cells = [lastMs / 1000, boundMs / 1000, lastMs / boundMs, egressRatio]
    .map((value) => value.toFixed(2))
    .concat(`${depth}`, `${orders}`, (wallMs / 1000).toFixed(1))
  console.log(name.padEnd(38), ...cells.map((cell) => cell.padStart(8)))
}
