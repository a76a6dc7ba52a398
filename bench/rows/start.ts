import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Context } from '../context.ts'
import type { Check } from '../report.ts'
import { withResources } from '../resources.ts'
import { ratios } from '../stats.ts'

/** Nothing is fetched, so nothing needs to listen at the port of the upstream. */
const NO_UPSTREAM = 1

/** How long commands take that people type, and the agent until it serves, beside a Node that does nothing. */
export async function start(context: Context): Promise<void> {
  const { agentEntry } = context.settings
  if (agentEntry === undefined) return
  await withResources(async (resources) => {
    const folder = resources.add(context.folder('data'))
    const agent = await context.agent(`${folder.path}/running`, NO_UPSTREAM)
    if (agent === undefined) return
    resources.add(agent)
    const commands: readonly [name: string, args: readonly string[]][] = [
      ['node -e 0', ['-e', '0']],
      ['agent --version', [agentEntry, '--version']],
      ['agent status', [agentEntry, 'status', '--admin', `127.0.0.1:${agent.adminPort}`]],
    ]
    const times = new Map<string, number[]>()
    const add = (name: string, ms: number): void => {
      times.set(name, [...(times.get(name) ?? []), ms])
    }
    for (let round = -1; round < context.repetitions * 3; round++) {
      for (const [name, args] of commands) {
        const ms = await timeOf(args)
        if (round >= 0) add(name, ms)
      }
    }
    for (let round = 0; round < context.repetitions; round++) {
      const startedAt = performance.now()
      const started = await context.agent(`${folder.path}/start-${round}`, NO_UPSTREAM)
      add('agent serve until /readyz answers 200', performance.now() - startedAt)
      await started?.stop()
    }
    const valuesOf = (name: string): readonly number[] => times.get(name) ?? []
    const checks: Check[] = [
      { label: 'agent --version', unit: 'ms', values: valuesOf('agent --version'), atMost: 200 },
      { label: 'agent status', unit: 'ms', values: valuesOf('agent status'), atMost: 350 },
      {
        label: 'agent status / node -e 0',
        unit: 'x',
        values: ratios(valuesOf('agent status'), valuesOf('node -e 0')),
      },
    ]
    const figures = [...times].map(([side, values]) => ({ side, unit: 'ms', values }))
    context.report({ name: 'commands and the agent', figures, checks, notes: [] })
  })
}

/** From the start of a process of Node until it has ended well. */
async function timeOf(args: readonly string[]): Promise<number> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${code}`)
  return performance.now() - startedAt
}
