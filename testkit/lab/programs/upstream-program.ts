import { createCipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { serveTasks } from '../remote-process.ts'

/**
 * A registry that serves from memory and counts, for each client, the requests and the bytes that it has sent.
 * Arguments: address and port. It runs on a machine of its own, and the link of that machine limits its speed.
 */

const [host = '', port = ''] = process.argv.slice(2)
const PIECE = 65_536
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'

export interface MadeImage {
  readonly repository: string
  readonly tag: string
  readonly manifest: string
  /** Config first, then the layers. */
  readonly blobs: readonly { readonly digest: string; readonly size: number }[]
}

/** The requests of one client for one digest or tag. */
export interface ClientTraffic {
  readonly client: string
  readonly method: string
  readonly kind: string
  /** A digest or a tag. */
  readonly reference: string
  /** How many requests there were. */
  requests: number
  /** How many of them were answered with content. */
  answered: number
  /** How many bytes of bodies the kernel has taken. */
  bytes: number
}

interface Item {
  readonly bytes: Buffer
  readonly type: string
}

const items = new Map<string, Item>()
const tags = new Map<string, string>()
const clients = new Map<string, ClientTraffic>()
const denied = new Set<string>()
const server = createServer((request, response) => void answer(request, response))
server.on('connection', (socket) => {
  if (denied.has(socket.remoteAddress ?? '')) socket.destroy()
})

const tasks = {
  async start() {
    server.listen(Number(port), host)
    await once(server, 'listening')
  },

  async stop() {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  },

  /** The same seed makes the same image. Its layers do not compress, and are not tar archives, because no test unpacks them. */
  async make(image: {
    readonly repository: string
    readonly tag: string
    readonly seed: string
    readonly layerSizes: readonly number[]
  }): Promise<MadeImage> {
    const { repository, tag, seed, layerSizes } = image
    const layers = layerSizes.map((size, at) => {
      const bytes = bytesFrom(`${seed}/${at}`, size)
      return described(bytes, 'application/vnd.oci.image.layer.v1.tar+gzip')
    })
    const config = described(
      json({
        architecture: 'amd64',
        os: 'linux',
        config: { Labels: { seed } },
        rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
      }),
      'application/vnd.oci.image.config.v1+json',
    )
    const manifest = described(
      json({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers }),
      MANIFEST_TYPE,
    )
    tags.set(`${repository}:${tag}`, manifest.digest)
    return { repository, tag, manifest: manifest.digest, blobs: [config, ...layers] }
  },

  /** Deletes content, to free its memory. */
  async drop(digests: readonly string[]) {
    for (const digest of digests) items.delete(digest)
  },

  /** Closes all connections of these clients, now and when they connect. */
  async deny(clients: readonly string[]) {
    denied.clear()
    for (const client of clients) denied.add(client)
    // This closes the open connections of other clients too, which connect again.
    if (clients.length > 0) server.closeAllConnections()
  },

  async traffic(): Promise<readonly ClientTraffic[]> {
    return [...clients.values()]
  },

  async resetTraffic() {
    clients.clear()
  },
}

export type UpstreamTasks = typeof tasks
serveTasks(tasks)

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0] ?? ''
  if (path === '/v2/' || path === '/v2') return void response.end('{}')
  const [, repository = '', kind = '', reference = ''] =
    /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? []
  const traffic = trafficOf(request, kind, reference)
  traffic.requests += 1
  const digest = kind === 'manifests' ? (tags.get(`${repository}:${reference}`) ?? reference) : reference
  const item = items.get(digest)
  if (item === undefined) {
    response.writeHead(404, { 'Content-Type': 'application/json' })
    return void response.end('{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}')
  }
  traffic.answered += 1
  const range = rangeOf(request.headers.range, item.bytes.length)
  const body = item.bytes.subarray(range?.from ?? 0, range === undefined ? undefined : range.to + 1)
  response.writeHead(range === undefined ? 200 : 206, {
    'Content-Type': item.type,
    'Content-Length': body.length,
    'Docker-Content-Digest': digest,
    ...(range === undefined
      ? {}
      : { 'Content-Range': `bytes ${range.from}-${range.to}/${item.bytes.length}` }),
  })
  if (request.method === 'HEAD') return void response.end()
  await send(body, response, traffic)
}

/** Waits until each piece has been written before it writes the next, so that only bytes that were sent are counted. */
async function send(body: Buffer, response: ServerResponse, traffic: ClientTraffic): Promise<void> {
  for (let at = 0; at < body.length; at += PIECE) {
    const piece = body.subarray(at, at + PIECE)
    const isWritten = await new Promise<boolean>((resolve) => {
      response.once('close', () => resolve(false))
      response.write(piece, (error) => {
        response.removeAllListeners('close')
        resolve(error === null || error === undefined)
      })
    })
    if (!isWritten) return
    traffic.bytes += piece.length
  }
  response.end()
}

function trafficOf(request: IncomingMessage, kind: string, reference: string): ClientTraffic {
  const client = request.socket.remoteAddress ?? ''
  const method = request.method ?? ''
  const key = `${client} ${method} ${kind} ${reference}`
  const traffic = clients.get(key) ?? { client, method, kind, reference, requests: 0, answered: 0, bytes: 0 }
  clients.set(key, traffic)
  return traffic
}

function rangeOf(header: string | undefined, size: number): { from: number; to: number } | undefined {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(header ?? '') ?? []
  if (from === undefined || Number(from) >= size) return undefined
  return { from: Number(from), to: Math.min(to ? Number(to) : size - 1, size - 1) }
}

function described(bytes: Buffer, type: string): { mediaType: string; digest: string; size: number } {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  items.set(digest, { bytes, type })
  return { mediaType: type, digest, size: bytes.length }
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function bytesFrom(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}
