import type { Context } from '../context.ts'
import { entries } from './store/entries.ts'
import { whileEvicting } from './store/evicting.ts'
import { start } from './store/start.ts'
import { whileVerifying } from './store/verifying.ts'

/** The store when much is going on in it, and when there is much in it. */
export async function store(context: Context): Promise<void> {
  if (context.settings.agentEntry === undefined) {
    context.report({ name: 'the store', figures: [], checks: [], notes: ['only the agent is measured'] })
    return
  }
  await whileEvicting(context)
  await whileVerifying(context)
  await start(context)
  await entries(context)
}
