import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import DHT, { type NodeOptions } from 'hyperdht'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'

const ANY = '0.0.0.0'
/**
 * A node that has gone is asked in vain for a while by all who still know of it. In one's own network an answer comes
 * at once or never, so it is not waited for as long as usual: 12 s for each time that it is asked.
 */
const TRIES_MS = [150, 200, 250, 300, 400, 500]

export interface Address {
  readonly host: string
  readonly port: number
}

export interface DhtNodeOptions {
  /** Where to listen; port 0 is any free one. */
  readonly listen: Address
  /** Nodes through which others are found; with none this one is the first. */
  readonly bootstrap: readonly Address[]
  /** Where others see it, if that is known. */
  readonly advertise: string | undefined
  /** Joins the public DHT when there is nobody else to ask. */
  readonly publicDht: boolean
  readonly keepAliveMs?: number
}

/**
 * Every agent is a full node: behind no firewall, known to others, keeping records for them. So they reach each other
 * without punching holes, and whoever knows one of them can join through it.
 */
export async function openDhtNode(options: DhtNodeOptions): Promise<{ node: DHT; ready: Promise<DHT> }> {
  for (const { host, port } of options.bootstrap) {
    if (!isIPv6(host)) continue
    const why = `the bootstrap node [${host}]:${port} cannot be asked, since the DHT speaks only IPv4`
    throw new Failure('unavailable', `${why}: name its IPv4 address`)
  }
  const host = await ipv4Of(options.listen.host)
  const port = options.listen.port === 0 ? await freePort(host) : options.listen.port
  const where: NodeOptions = {
    host,
    port: [port, port + 1],
    anyPort: false,
    ...(options.publicDht
      ? {}
      : { adaptiveTimeout: { min: 100, max: 1000, jitter: 50, fallback: TRIES_MS } }),
    ...(options.keepAliveMs === undefined ? {} : { connectionKeepAlive: options.keepAliveMs }),
  }
  const bootstrap = options.bootstrap.map((address) => ({ ...address }))
  if (bootstrap.length === 0) {
    const node = options.publicDht ? new DHT(where) : await firstNode(where, port, host, options)
    await bound(node, host, port)
    return { node, ready: Promise.resolve(node) }
  }
  const node = new DHT({ ...where, bootstrap, ephemeral: false, firewalled: false })
  await bound(node, host, port)
  return { node, ready: known(node, async () => firstNode({ ...where, bootstrap }, port, host, options)) }
}

/**
 * A node learns from others where it is seen; from then on others can reach it, whatever else it still looks for. When
 * none of them answers it has to know by itself.
 */
async function known(node: DHT, otherwise: () => Promise<DHT>): Promise<DHT> {
  const seen = new Promise<void>((resolve) => node.once('nat-update', () => resolve()))
  await Promise.race([seen, node.fullyBootstrapped()])
  if (node.host !== null) return node
  await node.destroy()
  const other = await otherwise()
  await other.bind()
  return other
}

async function firstNode(
  where: NodeOptions,
  port: number,
  host: string,
  { advertise }: DhtNodeOptions,
): Promise<DHT> {
  return DHT.bootstrapper(port, await seenAt(host, advertise), { bootstrap: [], ...where })
}

async function seenAt(host: string, advertise: string | undefined): Promise<string> {
  if (host !== ANY) return host
  const advertised = advertise === undefined ? undefined : await ipv4Of(advertise).catch(() => undefined)
  if (advertised !== undefined && advertised !== ANY) return advertised
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return own.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}

async function bound(node: DHT, host: string, port: number): Promise<void> {
  try {
    await node.bind()
  } catch (cause) {
    await node.destroy({ force: true }).catch(() => {})
    const code = errorCode(cause) ?? cause
    throw new Failure(
      'unavailable',
      `the DHT cannot listen on ${host}:${port} (${code}): end what does, or choose another address for it`,
      { cause },
    )
  }
}

/** The DHT speaks IPv4 only. */
async function ipv4Of(host: string): Promise<string> {
  if (isIPv4(host)) return host
  if (host === '::') return ANY
  // An IPv6 address is given back as it is.
  const found = await lookup(host, { family: 4 }).catch(() => undefined)
  if (found?.family === 4) return found.address
  throw new Failure('unavailable', `${host} is no IPv4 address, which the DHT needs: name another one`)
}

async function freePort(host: string): Promise<number> {
  const socket = createSocket('udp4')
  try {
    socket.bind(0, host)
    await once(socket, 'listening')
    return socket.address().port
  } finally {
    socket.close()
  }
}
