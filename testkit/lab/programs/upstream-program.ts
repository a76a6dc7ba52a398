import { createCipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { obey } from '../remote-process.ts'

/**
 * A registry that serves from memory and keeps account of who has asked for what and of how many bytes it has sent.
 * Arguments: address and port. It runs in a place of its own, whose cable says how fast it is.
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

/** What one client has had of one thing. */
export interface Account {
  readonly client: string
  readonly method: string
  readonly kind: string
  /** A digest or a tag. */
  readonly reference: string
  /** How often it was asked for. */
  requests: number
  /** How often the answer was not a refusal. */
  answered: number
  /** Of the body, as the kernel took them. */
  bytes: number
}

interface Item {
  readonly bytes: Buffer
  readonly type: string
}

const items = new Map<string, Item>()
const tags = new Map<string, string>()
const accounts = new Map<string, Account>()
const denied = new Set<string>()
const server = createServer((request, response) => void answer(request, response))
server.on('connection', (socket) => {
  if (denied.has(socket.remoteAddress ?? '')) socket.destroy()
})

const skills = {
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

  /** Layers of bytes that do not compress, the same ones for the same seed. Layers are not tar archives: nobody unpacks them. */
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

  /** Forgets content, to have the memory back. */
  async drop(digests: readonly string[]) {
    for (const digest of digests) items.delete(digest)
  },

  /** For these clients there is no registry any more: their connections are closed at once. */
  async deny(clients: readonly string[]) {
    denied.clear()
    for (const client of clients) denied.add(client)
    // Those that are open too; others dial again.
    if (clients.length > 0) server.closeAllConnections()
  },

  async accounts(): Promise<readonly Account[]> {
    return [...accounts.values()]
  },

  async forget() {
    accounts.clear()
  },
}

export type UpstreamSkills = typeof skills
obey(skills)

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0] ?? ''
  if (path === '/v2/' || path === '/v2') return void response.end('{}')
  const [, repository = '', kind = '', reference = ''] =
    /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? []
  const account = accountOf(request, kind, reference)
  account.requests += 1
  const digest = kind === 'manifests' ? (tags.get(`${repository}:${reference}`) ?? reference) : reference
  const item = items.get(digest)
  if (item === undefined) {
    response.writeHead(404, { 'Content-Type': 'application/json' })
    return void response.end('{"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]}')
  }
  account.answered += 1
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
  await send(body, response, account)
}

/** No piece before the one before it has left, so that what is counted has been sent. */
async function send(body: Buffer, response: ServerResponse, account: Account): Promise<void> {
  for (let at = 0; at < body.length; at += PIECE) {
    const piece = body.subarray(at, at + PIECE)
    const left = await new Promise<boolean>((resolve) => {
      response.once('close', () => resolve(false))
      response.write(piece, (error) => {
        response.removeAllListeners('close')
        resolve(error === null || error === undefined)
      })
    })
    if (!left) return
    account.bytes += piece.length
  }
  response.end()
}

function accountOf(request: IncomingMessage, kind: string, reference: string): Account {
  const client = request.socket.remoteAddress ?? ''
  const method = request.method ?? ''
  const key = `${client} ${method} ${kind} ${reference}`
  const account = accounts.get(key) ?? { client, method, kind, reference, requests: 0, answered: 0, bytes: 0 }
  accounts.set(key, account)
  return account
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
