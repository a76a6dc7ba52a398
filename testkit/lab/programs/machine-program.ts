import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type HttpRequest, now, type Received, receive } from '../http-receive.ts'
import { serveTasks } from '../remote-process.ts'

/** Pulls as a container runtime on the machine would, and opens connections from there. */

/** Only a connection that can never be opened takes so long. */
const CONNECT_MS = 60_000

const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
]

export interface PullRequest {
  /** The address of the agent, or of a registry. */
  readonly host: string
  readonly port: number
  /** The registry that the agent fetches from (`ns`); undefined when the registry itself is asked. */
  readonly registry: string | undefined
  readonly repository: string
  /** A tag or a digest. */
  readonly reference: string
  /** Whether bodies are hashed. Otherwise only their length is checked. */
  readonly hash: boolean
}

export interface PulledPart extends Omit<Received, 'body' | 'headers'> {
  readonly wanted: string
  /** The Cache-Status of the answer. */
  readonly from: string | undefined
}

export interface Pulled {
  readonly startedAt: number
  readonly endedAt: number
  readonly bytes: number
  /** The manifest first. */
  readonly parts: readonly PulledPart[]
  /** What is missing or wrong; undefined when all of the image has come. */
  readonly error: string | undefined
}

const tasks = {
  /** Requests the manifest, then the config and the layers at once, each on a connection of its own. */
  async pull(request: PullRequest): Promise<Pulled> {
    const startedAt = now()
    const { host, port, repository, reference, hash } = request
    const query = request.registry === undefined ? '' : `?ns=${request.registry}`
    const get = (kind: string, wanted: string, more: Partial<HttpRequest>): Promise<Received> =>
      receive({ host, port, path: `/v2/${repository}/${kind}/${wanted}${query}`, ...more })
    const headers = { Accept: MANIFEST_TYPES.join(', ') }
    const manifest = await get('manifests', reference, { headers, hash: true, keep: true })
    const blobs = manifest.status === 200 ? blobsOf(manifest.body ?? Buffer.of()) : []
    const received = await Promise.all(
      blobs.map(async (digest) => partOf(digest, await get('blobs', digest, { hash }))),
    )
    const digest = manifest.headers['docker-content-digest'] ?? reference
    const parts = [partOf(digest, manifest), ...received]
    const wrong = parts.find((part) => !isComplete(part))
    return {
      startedAt,
      endedAt: Math.max(...parts.map((part) => part.endedAt)),
      bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
      parts,
      error: wrong === undefined ? undefined : JSON.stringify(wrong),
    }
  },

  async request(request: HttpRequest): Promise<Received> {
    return await receive(request)
  },

  /** Listens on a port and discards what is sent there; closes each connection when its sender has ended. */
  async discard(port: number) {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.resume()
    })
    server.listen(port, '0.0.0.0')
    await once(server, 'listening')
  },

  /** Sends bytes to a port that discards them. Returns the milliseconds until all of them were received. */
  async send(target: {
    readonly host: string
    readonly port: number
    readonly bytes: number
  }): Promise<number> {
    const socket = connect({ host: target.host, port: target.port })
    await once(socket, 'connect')
    const startedAt = now()
    const closed = once(socket, 'close')
    socket.resume().end(Buffer.alloc(target.bytes))
    await closed
    return now() - startedAt
  },

  /** Whether a connection can be opened within `ms`. */
  async connect(target: {
    readonly host: string
    readonly port: number
    readonly ms: number
  }): Promise<boolean> {
    const socket = connect({ host: target.host, port: target.port })
    const deadline = setTimeout(() => socket.destroy(), target.ms)
    let isConnected = false
    socket.once('connect', () => {
      isConnected = true
      socket.destroy()
    })
    socket.on('error', () => {})
    await new Promise<void>((resolve) => socket.once('close', () => resolve()))
    clearTimeout(deadline)
    return isConnected
  },

  /** Connects, sends the bytes, over TLS if asked to, and returns what is received within `ms` after connecting. */
  async sendAndListen(target: {
    readonly host: string
    readonly port: number
    readonly tls: boolean
    readonly bytes: Uint8Array
    readonly ms: number
  }): Promise<{ readonly connected: boolean; readonly secure: boolean; readonly received: Buffer }> {
    const { host, port } = target
    const raw = connect({ host, port })
    const received: Buffer[] = []
    let connected = false
    let secure = false
    let deadline = setTimeout(() => raw.destroy(), CONNECT_MS)
    raw.once('connect', () => {
      connected = true
      clearTimeout(deadline)
      deadline = setTimeout(() => socket.destroy(), target.ms)
    })
    const socket = target.tls ? connectTls({ socket: raw, rejectUnauthorized: false }) : raw
    socket.once('secureConnect', () => {
      secure = true
    })
    socket.on('data', (piece: Buffer) => received.push(piece))
    const closed = new Promise<void>((resolve) => socket.once('close', resolve))
    socket.on('error', () => {})
    raw.on('error', () => socket.destroy())
    socket.write(target.bytes)
    await closed
    clearTimeout(deadline)
    return { connected, secure, received: Buffer.concat(received) }
  },
}

export type MachineTasks = typeof tasks
serveTasks(tasks)

function partOf(wanted: string, { body: _, headers, ...received }: Received): PulledPart {
  return { wanted, from: headers['cache-status'], ...received }
}

function isComplete(part: PulledPart): boolean {
  const isWanted = part.digest === undefined || part.digest === part.wanted
  return part.status === 200 && part.isWhole && isWanted
}

function blobsOf(manifest: Buffer): string[] {
  const { config, layers = [] } = JSON.parse(manifest.toString())
  return [config, ...layers].map((descriptor: { digest: string }) => descriptor.digest)
}
