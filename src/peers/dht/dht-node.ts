import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import DHT, { type NodeOptions } from 'hyperdht'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'

const ANY_HOST = '0.0.0.0'
/**
 * How long each attempt of a request to another node waits for the answer. Nodes keep asking a node that has gone for a
 * while. In a private network an answer comes at once or never, so these timeouts are shorter than the defaults of the
 * library, with which a request to a node that has gone takes 12 s.
 */
const ANSWER_TIMEOUTS_MS = [150, 200, 250, 300, 400, 500]

/** How many free ports are tried when any port will do. */
const MAX_FREE_PORT_ATTEMPTS = 5

export interface HostPort {
  readonly host: string
  readonly port: number
}

export interface DhtNodeOptions {
  /** The address to listen on; with port 0 the node takes any free port. */
  readonly listen: HostPort
  /** Nodes through which this node finds others; without any, this node is the first of its DHT. */
  readonly bootstrap: readonly HostPort[]
  /** The host at which others reach this node, if that is known. */
  readonly advertise: string | undefined
  /** Joins the public DHT if no bootstrap nodes are given. */
  readonly publicDht: boolean
  readonly keepAliveMs?: number
}

/**
 * Opens a full node of the DHT: not ephemeral and not firewalled. Agents thus reach each other without hole punching, and
 * an agent can join through any other agent. `ready` resolves to the node to use once others can reach it, which may be
 * another object than `node`.
 */
export async function openDhtNode(options: DhtNodeOptions): Promise<{ node: DHT; ready: Promise<DHT> }> {
  for (const { host, port } of options.bootstrap) {
    if (!isIPv6(host)) continue
    const why = `the bootstrap node [${host}]:${port} cannot be reached because the DHT uses IPv4 only`
    throw new Failure('unavailable', `${why}: name its IPv4 address`)
  }
  const host = await ipv4Of(options.listen.host)
  if (options.listen.port !== 0) return openAt(host, options.listen.port, options)
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openAt(host, await freePort(host), options)
    } catch (error) {
      // Another process may have bound the port in the meantime.
      const isTaken = error instanceof Failure && errorCode(error.cause) === 'EADDRINUSE'
      if (!isTaken || attempt === MAX_FREE_PORT_ATTEMPTS) throw error
    }
  }
}

async function openAt(
  host: string,
  port: number,
  options: DhtNodeOptions,
): Promise<{ node: DHT; ready: Promise<DHT> }> {
  const nodeOptions: NodeOptions = {
    host,
    port: [port, port + 1],
    anyPort: false,
    ...(options.publicDht
      ? {}
      : { adaptiveTimeout: { min: 100, max: 1000, jitter: 50, fallback: ANSWER_TIMEOUTS_MS } }),
    ...(options.keepAliveMs === undefined ? {} : { connectionKeepAlive: options.keepAliveMs }),
  }
  const bootstrap = options.bootstrap.map((address) => ({ ...address }))
  if (bootstrap.length === 0) {
    const node = options.publicDht
      ? new DHT(nodeOptions)
      : await createFirstNode(nodeOptions, port, host, options)
    await bind(node, host, port)
    return { node, ready: Promise.resolve(node) }
  }
  const node = new DHT({ ...nodeOptions, bootstrap, ephemeral: false, firewalled: false })
  await bind(node, host, port)
  return {
    node,
    ready: untilReachable(node, async () =>
      createFirstNode({ ...nodeOptions, bootstrap }, port, host, options),
    ),
  }
}

/**
 * A node learns from the first others that answer at which address they see it, and can be reached from then on. If no
 * node answers, `createOther` creates a node that determines its address by itself.
 */
async function untilReachable(node: DHT, createOther: () => Promise<DHT>): Promise<DHT> {
  const addressLearned = new Promise<void>((resolve) => node.once('nat-update', () => resolve()))
  await Promise.race([addressLearned, node.fullyBootstrapped()])
  if (node.host !== null) return node
  await node.destroy()
  const other = await createOther()
  await other.bind()
  return other
}

async function createFirstNode(
  nodeOptions: NodeOptions,
  port: number,
  host: string,
  { advertise }: DhtNodeOptions,
): Promise<DHT> {
  return DHT.bootstrapper(port, await externalHost(host, advertise), { bootstrap: [], ...nodeOptions })
}

async function externalHost(host: string, advertise: string | undefined): Promise<string> {
  if (host !== ANY_HOST) return host
  const advertised = advertise === undefined ? undefined : await ipv4Of(advertise).catch(() => undefined)
  if (advertised !== undefined && advertised !== ANY_HOST) return advertised
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return own.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}

async function bind(node: DHT, host: string, port: number): Promise<void> {
  try {
    await node.bind()
  } catch (cause) {
    await node.destroy({ force: true }).catch(() => {})
    const code = errorCode(cause) ?? cause
    throw new Failure(
      'unavailable',
      `the DHT cannot listen on ${host}:${port} (${code}): stop the process that uses this port, or choose another address`,
      { cause },
    )
  }
}

/** Resolves a host to an IPv4 address, since the DHT uses IPv4 only. */
async function ipv4Of(host: string): Promise<string> {
  if (isIPv4(host)) return host
  if (host === '::') return ANY_HOST
  // For an IPv6 address `lookup` returns that address, whatever family is asked for.
  const found = await lookup(host, { family: 4 }).catch(() => undefined)
  if (found?.family === 4) return found.address
  throw new Failure('unavailable', `${host} has no IPv4 address, which the DHT needs: name another one`)
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
