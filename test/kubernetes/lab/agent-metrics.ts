import { run } from '../../../testkit/programs.ts'
import { inNetwork } from './in-network.ts'
import type { ClusterNode } from './node.ts'

const PRINT =
  'const answer = await fetch(process.argv[1], { signal: AbortSignal.timeout(10_000) }); process.stdout.write(await answer.text())'

/** The sum of a metric of a node's agent, over the series that have all these labels, such as `source="peer"`. */
export async function agentMetric(
  node: ClusterNode,
  name: string,
  ...labels: readonly string[]
): Promise<number> {
  const url = 'http://127.0.0.1:5051/metrics'
  const command = inNetwork(node.machine, process.execPath, ['--input-type=module', '-e', PRINT, url])
  const { stdout } = await run(command.path, command.args)
  const lines = stdout
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  const values = lines
    .filter((line) => labels.every((label) => line.includes(label)))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)))
  return values.reduce((sum, value) => sum + value, 0)
}
