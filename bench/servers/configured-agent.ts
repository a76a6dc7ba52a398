import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Context } from '../context.ts'
import type { Owned } from '../owned.ts'
import type { Agent } from './agent.ts'

/** Settings by their names in the environment. */
export type Variables = Readonly<Record<`LEAT_${string}`, string>>

/** Nothing of its own accord reads the disk in the middle of a measurement. */
export const NO_SCRUB: Variables = { LEAT_SCRUB_RATE: '0' }

/** An agent with settings of its own. Those of an earlier one in the same folder do not count. */
export async function agentSet(
  context: Context,
  owned: Owned,
  folder: string,
  upstreamPort: number,
  variables: Variables,
): Promise<Agent> {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'settings.env')
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(file, lines.join(''))
  const { settings, group, peaks } = context
  const nodeArgs = [...settings.nodeArgs, `--env-file=${file}`]
  const setting = new Context(group, { ...settings, nodeArgs }, peaks, (row) => context.report(row))
  const agent = await setting.agent(folder, upstreamPort)
  if (agent === undefined) throw new Error('this row has no meaning without the agent')
  return owned.add(agent)
}
