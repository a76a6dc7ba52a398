import { Lab } from '../../../../testkit/lab/lab.ts'
import type { Rate } from '../../../../testkit/lab/network.ts'
import type { ClusterNode } from '../../../../testkit/lab/node.ts'
import type { MadeImage } from '../../../../testkit/lab/programs/upstream-program.ts'
import type { Context } from '../../../context.ts'
import { withResources } from '../../../resources.ts'
import { ratios } from '../../../stats.ts'
import { mbit, UNCHECKED } from './measured-pulls.ts'

const MIB = 1 << 20
/** Two layers at once, as runtimes pull them. */
const LAYERS = [64 * MIB, 64 * MIB]
const FAST: Rate = 4e9
const SLOW: readonly Rate[] = [96e6, 48e6]

/** What each byte of a cold pull costs one agent: small pieces of a slow link must not cost much more than large ones. */
export function slowBytes(context: Context, entry: string): Promise<void> {
  return withResources(async (resources) => {
    const folder = resources.add(context.folder('slow'))
    const flags = ['--log-level', 'warn', '--max-bytes', '1GiB']
    const lab = await Lab.open({
      nodes: 1,
      entry,
      folder: `${folder.path}/lab`,
      peers: false,
      rate: FAST,
      flags,
    })
    resources.add({ stop: () => lab.close() })
    const [node] = lab.nodes
    if (node === undefined) throw new Error('a node is needed')
    /** CPU seconds of the agent for each GB. */
    const costAt = async (rate: Rate): Promise<number> => {
      lab.network.setRate(lab.upstream.machine, rate)
      const image = await lab.upstream.makeImage(LAYERS)
      const used = await cpuOf(node, image)
      await lab.upstream.drop(image)
      return used / (image.blobs.reduce((sum, blob) => sum + blob.size, 0) / 1e9)
    }
    // The first pull starts threads and compiles code.
    await costAt(FAST)
    const costs = new Map<Rate, number[]>()
    for (let round = 0; round < (context.quick ? 1 : 3); round++) {
      for (const rate of [FAST, ...SLOW]) costs.set(rate, [...(costs.get(rate) ?? []), await costAt(rate)])
    }
    const full = costs.get(FAST) ?? []
    context.report({
      name: 'what a byte costs an agent when it comes slowly, two layers of 64 MiB',
      figures: [FAST, ...SLOW].map((rate) => ({
        side: rate === FAST ? 'at full speed' : `at ${mbit(rate)}`,
        unit: 'CPU s/GB',
        values: costs.get(rate) ?? [],
      })),
      checks: SLOW.map((rate) => ({
        label: `at ${mbit(rate)} / at full speed`,
        unit: 'x',
        values: ratios(costs.get(rate) ?? [], full),
        atMost: 1.5,
      })),
      notes: ['the pull goes to one client, without peers'],
    })
  })
}

async function cpuOf(node: ClusterNode, image: MadeImage): Promise<number> {
  const before = node.usage().cpuSeconds
  await node.pull(image, UNCHECKED)
  return node.usage().cpuSeconds - before
}
