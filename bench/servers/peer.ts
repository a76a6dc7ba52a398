import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type { Context } from '../context.ts'
import { freePort } from '../program.ts'
import type { Resources } from '../resources.ts'
import type { Agent } from './agent.ts'
import { startConfiguredAgent, type Variables } from './configured-agent.ts'

export const LOOPBACK = '127.0.0.1'
/** The secret of the swarms that the bench starts. */
export const SECRET = 'the secret of the agents of one bench'
const CONNECT_MS = 30_000

/** An agent with peers, and the address of its DHT node. */
export interface Peer {
  readonly agent: Agent
  readonly dht: string
}

export interface PeerOptions {
  readonly upstreamPort: number
  /** More lines of the configuration file. */
  readonly config?: string
  /** The first agent of a swarm has none. */
  readonly bootstrap?: string
}

/** Starts an agent on loopback. */
export async function startPeer(
  context: Context,
  resources: Resources,
  folder: string,
  { upstreamPort, config, bootstrap }: PeerOptions,
): Promise<Peer> {
  mkdirSync(folder, { recursive: true })
  const secret = `${folder}/secret`
  writeFileSync(secret, `${SECRET}\n`, { mode: 0o600 })
  const dht = `${LOOPBACK}:${await freePort()}`
  const variables: Variables = {
    LEAT_PEERS_SECRET_FILE: secret,
    LEAT_DHT: dht,
    LEAT_PEER_LISTEN: `${LOOPBACK}:0`,
    LEAT_ADVERTISE: LOOPBACK,
    ...(bootstrap === undefined ? {} : { LEAT_BOOTSTRAP: bootstrap }),
  }
  const agent = await startConfiguredAgent(context, resources, folder, upstreamPort, variables, config)
  return { agent, dht }
}

/** Starts two agents that know each other. */
export async function startTwoPeers(
  context: Context,
  resources: Resources,
  folder: string,
  options: Pick<PeerOptions, 'upstreamPort' | 'config'>,
): Promise<readonly [Agent, Agent]> {
  const one = await startPeer(context, resources, `${folder}/one`, options)
  const other = await startPeer(context, resources, `${folder}/other`, { ...options, bootstrap: one.dht })
  await Promise.all([untilKnown(one, 1), untilKnown(other, 1)])
  return [one.agent, other.agent]
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
