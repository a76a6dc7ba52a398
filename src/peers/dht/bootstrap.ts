import type { HostPort } from './dht-node.ts'

export interface BootstrapNode {
  readonly address: HostPort
  stop(): Promise<void>
}

/** Starts a node of a private DHT through which agents find each other. It needs no secret of a swarm. */
export async function startBootstrapNode(options: {
  readonly listen: HostPort
  readonly bootstrap: readonly HostPort[]
  readonly advertise: string | undefined
}): Promise<BootstrapNode> {
  const { openDhtNode } = await import('./dht-node.ts')
  const { node, ready } = await openDhtNode({ ...options, publicDht: false })
  const address = node.address()
  if (address === null) throw new Error('the DHT node is bound but has no address')
  ready.catch(() => {})
  return {
    address: { host: address.host, port: address.port },
    stop: async () => {
      // `ready` may resolve to another node, which replaces the first one: both must be destroyed.
      const current = await Promise.race([ready.catch(() => node), Promise.resolve(node)])
      await current.destroy()
      if (current === node)
        await ready.then((other) => (other === node ? undefined : other.destroy())).catch(() => {})
    },
  }
}
