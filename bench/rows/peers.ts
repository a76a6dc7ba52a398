import type { Context } from '../context.ts'
import { findProgram } from '../program.ts'
import { manifestsMeanwhile } from './peers/manifests-meanwhile.ts'
import { peerTransfer } from './peers/peer-transfer.ts'

/** Two agents as peers, on loopback. */
export async function peers(context: Context): Promise<void> {
  const missing =
    context.settings.agentEntry === undefined
      ? 'only the agent is measured'
      : findProgram('nginx') === undefined
        ? 'missing: nginx (Debian package nginx-light)'
        : undefined
  if (missing !== undefined) {
    context.report({ name: 'two agents', figures: [], checks: [], notes: [missing] })
    return
  }
  await peerTransfer(context)
  await manifestsMeanwhile(context)
}
