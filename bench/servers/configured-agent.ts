import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Context } from '../context.ts'
import type { Resources } from '../resources.ts'
import type { Agent } from './agent.ts'

/** Settings by the names of their environment variables. */
export type Variables = Readonly<Record<`LEAT_${string}`, string>>

/** The agent does not verify its store during a measurement. */
export const NO_SCRUB: Variables = { LEAT_SCRUB_RATE: '0' }

/**
 * Starts an agent with these settings, which replace those of an earlier agent in the same folder. `config`: more lines of its
 * configuration file.
 */
export async function startConfiguredAgent(
  context: Context,
  resources: Resources,
  folder: string,
  upstreamPort: number,
  variables: Variables,
  config = '',
): Promise<Agent> {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'settings.env')
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(file, lines.join(''))
  const { settings, group, peaks } = context
  const nodeArgs = [...settings.nodeArgs, `--env-file=${file}`]
  const setting = new Context(group, { ...settings, nodeArgs }, peaks, (row) => context.report(row))
  const agent = await setting.agent(folder, upstreamPort, config)
  if (agent === undefined) throw new Error('this row needs the agent')
  return resources.add(agent)
}
