import { lookup } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import { unlessAborted } from '../../lib/async/abort.ts'
import { Failure } from '../../ports/failure.ts'
import type { HostPort } from './dht-node.ts'

/** The part of the library that `hyperdht.d.ts` leaves out. */
interface PingClient {
  ping(node: HostPort): Promise<unknown>
}

/** Pings nodes of the DHT. Returns for each one the reason why it did not answer, or undefined if it did. */
export async function pingDht(
  nodes: readonly HostPort[],
  { signal }: { signal: AbortSignal },
): Promise<readonly (Failure | undefined)[]> {
  const { default: DHT } = await import('hyperdht')
  // An ephemeral node without bootstrap nodes sends to no other nodes and stores nothing for them.
  const node = new DHT({ bootstrap: [], ephemeral: true, port: [0, 0] })
  try {
    await node.bind()
    const client = node as typeof node & PingClient
    return await Promise.all(nodes.map((address) => ping(client, address, signal)))
  } finally {
    await node.destroy({ force: true })
  }
}

async function ping(
  client: PingClient,
  { host, port }: HostPort,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const ip = isIPv4(host)
    ? host
    : await lookup(host, { family: 4 }).then(
        ({ address }) => address,
        () => undefined,
      )
  if (ip === undefined) return new Failure('absent', `${host} has no IPv4 address, which the DHT needs`)
  const noAnswer = new Failure('unavailable', `${ip}:${port} does not answer over UDP`)
  const answered = client.ping({ host: ip, port }).then(() => undefined)
  return unlessAborted(answered, signal).catch(() => noAnswer)
}
