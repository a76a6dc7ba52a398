import type { Address } from './dht-node.ts'

export interface Bootstrap {
  readonly address: Address
  stop(): Promise<void>
}

/** A node of a DHT of one's own, through which agents find each other. It knows no secret and is told none. */
export async function startBootstrap(options: {
  readonly listen: Address
  readonly bootstrap: readonly Address[]
  readonly advertise: string | undefined
}): Promise<Bootstrap> {
  const { openDhtNode } = await import('./dht-node.ts')
  const { node, ready } = await openDhtNode({ ...options, publicDht: false })
  const address = node.address()
  if (address === null) throw new Error('a node that is bound has no address')
  ready.catch(() => {})
  return {
    address: { host: address.host, port: address.port },
    stop: async () => {
      const last = await Promise.race([ready.catch(() => node), Promise.resolve(node)])
      await last.destroy()
      if (last === node)
        await ready.then((other) => (other === node ? undefined : other.destroy())).catch(() => {})
    },
  }
}
