import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type { Context } from '../../context.ts'
import { freePort } from '../../program.ts'
import type { Resources } from '../../resources.ts'
import type { Agent } from '../../servers/agent.ts'
import { startConfiguredAgent } from '../../servers/configured-agent.ts'

export const LOOPBACK = '127.0.0.1'
/** The secret of the swarms that the bench starts. */
export const SECRET = 'the secret of the agents of one bench'
const CONNECT_MS = 30_000

/** An agent with peers, and the address of its DHT node. */
export interface Peer {
  readonly agent: Agent
  readonly dht: string
}

/** Starts an agent on loopback. The first agent of a swarm has no `bootstrap`. */
export async function startPeer(
  context: Context,
  resources: Resources,
  folder: string,
  { upstreamPort, bootstrap }: { readonly upstreamPort: number; readonly bootstrap?: string },
): Promise<Peer> {
  mkdirSync(folder, { recursive: true })
  const secret = `${folder}/secret`
  writeFileSync(secret, `${SECRET}\n`, { mode: 0o600 })
  const dht = `${LOOPBACK}:${await freePort()}`
  const agent = await startConfiguredAgent(context, resources, folder, upstreamPort, {
    LEAT_PEERS_SECRET_FILE: secret,
    LEAT_DHT: dht,
    LEAT_PEER_LISTEN: `${LOOPBACK}:0`,
    LEAT_ADVERTISE: LOOPBACK,
    ...(bootstrap === undefined ? {} : { LEAT_BOOTSTRAP: bootstrap }),
  })
  return { agent, dht }
}

/** Resolves when the agent knows so many other members. */
export async function untilKnown({ agent }: Peer, others: number): Promise<void> {
  const giveUpAt = performance.now() + CONNECT_MS
  for (;;) {
    const metrics = await (await fetch(`http://${LOOPBACK}:${agent.adminPort}/metrics`)).text()
    const count = Number(/^leat_peers_connected (\d+)$/m.exec(metrics)?.[1] ?? 0)
    if (count === others) return
    if (performance.now() > giveUpAt) throw new Error(`an agent knows ${count} of ${others} others`)
    await wait(50)
  }
}
