import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type { Context } from '../../context.ts'
import type { Owned } from '../../owned.ts'
import { freePort } from '../../program.ts'
import type { Agent } from '../../servers/agent.ts'
import { agentSet } from '../../servers/configured-agent.ts'

export const HERE = '127.0.0.1'
/** What only the agents of the bench know. */
export const SECRET = 'shared by all that the bench starts, and by nobody else'
const MEETING_MS = 30_000

/** An agent that others can find, and where its DHT listens. */
export interface Peer {
  readonly agent: Agent
  readonly dht: string
}

/** On loopback. Without `bootstrap` it is the first. */
export async function startPeer(
  context: Context,
  owned: Owned,
  folder: string,
  { upstreamPort, bootstrap }: { readonly upstreamPort: number; readonly bootstrap?: string },
): Promise<Peer> {
  mkdirSync(folder, { recursive: true })
  const secret = `${folder}/secret`
  writeFileSync(secret, `${SECRET}\n`, { mode: 0o600 })
  const dht = `${HERE}:${await freePort()}`
  const agent = await agentSet(context, owned, folder, upstreamPort, {
    LEAT_PEERS_SECRET_FILE: secret,
    LEAT_DHT: dht,
    LEAT_PEER_LISTEN: `${HERE}:0`,
    LEAT_ADVERTISE: HERE,
    ...(bootstrap === undefined ? {} : { LEAT_BOOTSTRAP: bootstrap }),
  })
  return { agent, dht }
}

/** Resolves when it knows so many others. */
export async function knows({ agent }: Peer, others: number): Promise<void> {
  const giveUpAt = performance.now() + MEETING_MS
  for (;;) {
    const metrics = await (await fetch(`http://${HERE}:${agent.adminPort}/metrics`)).text()
    const count = Number(/^leat_peers_connected (\d+)$/m.exec(metrics)?.[1] ?? 0)
    if (count === others) return
    if (performance.now() > giveUpAt) throw new Error(`an agent knows ${count} of ${others} others`)
    await wait(50)
  }
}
