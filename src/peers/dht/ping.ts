import { lookup } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import { unlessAborted } from '../../lib/async/abort.ts'
import { Failure } from '../../ports/failure.ts'
import type { Address } from './dht-node.ts'

/** Of the library, besides what is declared of it. */
interface Pinging {
  ping(node: Address): Promise<unknown>
}

/** Whether nodes of the DHT answer, each with why not if it does not. Loads the library only now. */
export async function pingDht(
  nodes: readonly Address[],
  { signal }: { signal: AbortSignal },
): Promise<readonly (Failure | undefined)[]> {
  const { default: DHT } = await import('hyperdht')
  // It asks nobody but these, and keeps nothing for others.
  const node = new DHT({ bootstrap: [], ephemeral: true, port: [0, 0] })
  try {
    await node.bind()
    const pinging = node as typeof node & Pinging
    return await Promise.all(nodes.map((address) => pinged(pinging, address, signal)))
  } finally {
    await node.destroy({ force: true })
  }
}

async function pinged(
  node: Pinging,
  { host, port }: Address,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const ip = isIPv4(host)
    ? host
    : await lookup(host, { family: 4 }).then(
        ({ address }) => address,
        () => undefined,
      )
  if (ip === undefined) return new Failure('absent', `${host} has no IPv4 address, which the DHT needs`)
  const silence = new Failure('unavailable', `${ip}:${port} does not answer over UDP`)
  const answered = node.ping({ host: ip, port }).then(() => undefined)
  return unlessAborted(answered, signal).catch(() => silence)
}
