import type { Context } from '../context.ts'
import { entries } from './store/entries.ts'
import { whileEvicting } from './store/evicting.ts'
import { startWithBlobs } from './store/start.ts'
import { whileVerifying } from './store/verifying.ts'

/** The store while it evicts or verifies, and when it holds very many blobs. */
export async function store(context: Context): Promise<void> {
  if (context.settings.agentEntry === undefined) {
    context.report({ name: 'the store', figures: [], checks: [], notes: ['only the agent is measured'] })
    return
  }
  await whileEvicting(context)
  await whileVerifying(context)
  await startWithBlobs(context)
  await entries(context)
}
