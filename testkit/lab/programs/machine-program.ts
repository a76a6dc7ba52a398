import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Asking, now, type Received, receive } from '../http-receive.ts'
import { obey } from '../remote-process.ts'

/** A pair of hands at a place: pulls as a container runtime on that machine would, and asks what a person would. */

/** Who is not connected by then never will be. */
const CONNECTED_MS = 60_000

const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
]

export interface PullOrder {
  /** Where: the agent, or a registry. */
  readonly host: string
  readonly port: number
  /** The registry that is meant (`ns`); undefined: the one that is asked. */
  readonly registry: string | undefined
  readonly repository: string
  /** A tag or a digest. */
  readonly reference: string
  /** Check what comes. Without it only the length is. */
  readonly hash: boolean
}

export interface Part extends Omit<Received, 'body' | 'headers'> {
  readonly wanted: string
  /** What the answer says of where it is from. */
  readonly from: string | undefined
}

export interface Pulled {
  readonly startedAt: number
  readonly endedAt: number
  readonly bytes: number
  /** The manifest first. */
  readonly parts: readonly Part[]
  /** Why it is not whole; undefined when it is. */
  readonly wrong: string | undefined
}

const skills = {
  /** Manifest, then config and layers at once, each on a connection of its own. */
  async pull(order: PullOrder): Promise<Pulled> {
    const startedAt = now()
    const { host, port, repository, reference, hash } = order
    const query = order.registry === undefined ? '' : `?ns=${order.registry}`
    const ask = (kind: string, wanted: string, more: Partial<Asking>): Promise<Received> =>
      receive({ host, port, path: `/v2/${repository}/${kind}/${wanted}${query}`, ...more })
    const headers = { Accept: MANIFEST_TYPES.join(', ') }
    const manifest = await ask('manifests', reference, { headers, hash: true, keep: true })
    const blobs = manifest.status === 200 ? blobsOf(manifest.body ?? Buffer.of()) : []
    const received = await Promise.all(
      blobs.map(async (digest) => partOf(digest, await ask('blobs', digest, { hash }))),
    )
    const digest = manifest.headers['docker-content-digest'] ?? reference
    const parts = [partOf(digest, manifest), ...received]
    const wrong = parts.find((part) => !isRight(part))
    return {
      startedAt,
      endedAt: Math.max(...parts.map((part) => part.endedAt)),
      bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
      parts,
      wrong: wrong === undefined ? undefined : JSON.stringify(wrong),
    }
  },

  async ask(asking: Asking): Promise<Received> {
    return await receive(asking)
  },

  /** Takes whatever is sent to a port, throws it away, and closes when the sender has ended. */
  async drain(port: number) {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.resume()
    })
    server.listen(port, '0.0.0.0')
    await once(server, 'listening')
  },

  /** Sends so many bytes to where somebody drains. Milliseconds until all of them were taken there. */
  async pour(where: {
    readonly host: string
    readonly port: number
    readonly bytes: number
  }): Promise<number> {
    const socket = connect(where)
    await once(socket, 'connect')
    const startedAt = now()
    const closed = once(socket, 'close')
    socket.resume().end(Buffer.alloc(where.bytes))
    await closed
    return now() - startedAt
  },

  /** Whether a connection to there comes about within `ms`. */
  async reach(where: {
    readonly host: string
    readonly port: number
    readonly ms: number
  }): Promise<boolean> {
    const socket = connect({ host: where.host, port: where.port })
    const late = setTimeout(() => socket.destroy(), where.ms)
    let reached = false
    socket.once('connect', () => {
      reached = true
      socket.destroy()
    })
    socket.on('error', () => {})
    await new Promise<void>((resolve) => socket.once('close', () => resolve()))
    clearTimeout(late)
    return reached
  },

  /** Connects and says `bytes`, by TLS if asked to. What comes back within `ms` after that, if somebody listens. */
  async knock(door: {
    readonly host: string
    readonly port: number
    readonly tls: boolean
    readonly bytes: Uint8Array
    readonly ms: number
  }): Promise<{ readonly connected: boolean; readonly secure: boolean; readonly heard: Buffer }> {
    const { host, port } = door
    const raw = connect({ host, port })
    const heard: Buffer[] = []
    let connected = false
    let secure = false
    let late = setTimeout(() => raw.destroy(), CONNECTED_MS)
    raw.once('connect', () => {
      connected = true
      clearTimeout(late)
      late = setTimeout(() => socket.destroy(), door.ms)
    })
    const socket = door.tls ? connectTls({ socket: raw, rejectUnauthorized: false }) : raw
    socket.once('secureConnect', () => {
      secure = true
    })
    socket.on('data', (piece: Buffer) => heard.push(piece))
    const closed = new Promise<void>((resolve) => socket.once('close', resolve))
    socket.on('error', () => {})
    raw.on('error', () => socket.destroy())
    socket.write(door.bytes)
    await closed
    clearTimeout(late)
    return { connected, secure, heard: Buffer.concat(heard) }
  },
}

export type HandSkills = typeof skills
obey(skills)

function partOf(wanted: string, { body: _, headers, ...received }: Received): Part {
  return { wanted, from: headers['cache-status'], ...received }
}

function isRight(part: Part): boolean {
  const isWanted = part.digest === undefined || part.digest === part.wanted
  return part.status === 200 && part.whole && isWanted
}

function blobsOf(manifest: Buffer): string[] {
  const { config, layers = [] } = JSON.parse(manifest.toString())
  return [config, ...layers].map((descriptor: { digest: string }) => descriptor.digest)
}
