import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import { createServer as createHttp, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Digest, parseDigest } from '../../src/oci/digest.ts'
import { type Certificates, makeCertificates } from '../certificates.ts'

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar'

/**
 * What goes wrong, on every request for the path until `times` are used up. The fields combine: `{ chunked: true,
 * dieAt: 5 }` is a chunked answer that breaks off. Offsets count from the start of the whole content, whatever the range.
 */
export interface Fault {
  /** How many requests it meets; default: all until `heal`. */
  readonly times?: number
  /** Default: every method. */
  readonly method?: 'GET' | 'HEAD' | 'POST'
  /** Answers this status (with `body`) instead of the content. */
  readonly status?: number
  readonly body?: string
  /** Added to the answer; an empty string takes the header out. */
  readonly headers?: Readonly<Record<string, string>>
  /** Takes the request and never answers, until `release` (then the connection closes). */
  readonly silent?: boolean
  /** Sends the head at once and waits before the body byte at this offset until `release`. */
  readonly stallAt?: number
  /** The connection breaks off before this byte. */
  readonly dieAt?: number
  readonly how?: 'fin' | 'rst'
  /** Added to the declared length; the body is sent as it is (cut, where the declared length is shorter). */
  readonly lengthLie?: number
  /** The byte at this offset has one bit flipped. */
  readonly corruptAt?: number
  /** A range is answered 206 from this many bytes later than asked. */
  readonly startLie?: number
  /** A range is answered 200 with everything. */
  readonly ignoreRange?: boolean
  /** No Content-Length. */
  readonly chunked?: boolean
  /** This many bytes at a time, with this pause. */
  readonly drip?: { readonly bytes: number; readonly everyMs: number }
  /** 307 to a URL of the second origin, good for `uses` requests (default: any number), then 403. Or to `to`. */
  readonly redirect?: { readonly uses?: number; readonly to?: string }
}

export interface Recorded {
  readonly origin: 'registry' | 'storage'
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Which connection it came on: 0, 1, ... in order of arrival. */
  readonly connection: number
}

export interface Transfer {
  readonly digest: string
  readonly from: number
  to: number | undefined
}

export interface BearerRules {
  /** Requests that one token is good for; default: any number. */
  readonly uses?: number
  /** Tokens that are good without having been given here. */
  readonly accepts?: readonly string[]
  /** Sent as `expires_in`; not sent when undefined. */
  readonly expiresIn?: number
  readonly field?: 'token' | 'access_token'
  readonly service?: string
  /** Basic credentials that the token endpoint wants. */
  readonly basic?: { readonly username: string; readonly password: string }
  /** Tokens are only given for POST with this refresh token. */
  readonly refreshToken?: string
  /** The whole challenges, in place of the usual one; `{realm}` is replaced. */
  readonly challenges?: readonly string[]
  /** Status of a refusal; default 401. */
  readonly refusal?: number
}

interface Armed {
  readonly target: string
  readonly fault: Fault
  left: number
}

interface Item {
  readonly bytes: Uint8Array
  readonly mediaType: string
}

export interface FaultyUpstream {
  /** `127.0.0.1:port`. */
  readonly host: string
  readonly url: string
  /** The second origin, to which `redirect` points. */
  readonly storageHost: string
  readonly certificates: Certificates | undefined
  /** Everything that was asked, in order. */
  readonly requests: readonly Recorded[]
  readonly tokensIssued: number
  /** Added to every answer of the registry. */
  readonly extraHeaders: Map<string, string>
  /** Served in every repository. */
  addBlob(bytes: Uint8Array): Digest
  /** Serves these blobs in this repository alone. */
  keepIn(repo: string, ...digests: readonly Digest[]): void
  addManifest(repo: string, tag: string | undefined, bytes: Uint8Array | string, mediaType?: string): Digest
  addTag(repo: string, tag: string, digest: Digest): void
  /** A config, these layers and a manifest of them. */
  addImage(repo: string, tag: string, layers?: readonly Uint8Array[]): ImageAdded
  /** The target is a path (`/v2/`, `/token`), or its end: a digest, a tag, `tags/list`. Later faults wait for earlier ones. */
  fault(target: string, fault: Fault): void
  /** Takes away the faults of one target, or of all. */
  heal(target?: string): void
  /** Lets go of everything that stalls or is silent. */
  release(): void
  /** Resolves when a request for this target is stalled or silent. */
  stalled(target: string): Promise<void>
  /** Resolves when this many requests for the target have come. */
  asked(target: string, times?: number): Promise<void>
  requireBearer(rules?: BearerRules): void
  requireBasic(username: string, password: string): void
  requireNothing(): void
  /** Whether the referrers API answers (default) or is 404. */
  referrersApi: boolean
  /** Body bytes sent under a digest, over all requests. */
  bytesSent(target: string): number
  /** When bytes of which digest were on their way, by `performance.now()`; no end: they still are. */
  readonly transfers: readonly Transfer[]
  /** How many requests there were for the target. */
  count(target: string, method?: string): number
  close(): Promise<void>
}

export interface ImageAdded {
  readonly manifest: Digest
  readonly config: Digest
  readonly layers: readonly Digest[]
}

const isFor = (path: string, target: string): boolean => {
  const bare = path.split('?', 1)[0] ?? ''
  return bare === target || bare.endsWith(`/${target}`)
}

export function sha256(bytes: Uint8Array | string): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
  if (digest === undefined) throw new Error('not a digest')
  return digest
}

/** A real registry on a free port of 127.0.0.1 that serves from memory and fails on demand. */
export async function startFaultyUpstream(options: { tls?: boolean } = {}): Promise<FaultyUpstream> {
  const certificates = options.tls === true ? makeCertificates() : undefined
  const scheme = certificates === undefined ? 'http' : 'https'
  const blobs = new Map<string, Item>()
  const keptIn = new Map<string, string>()
  const manifests = new Map<string, Item>()
  const tags = new Map<string, Map<string, Digest>>()
  const referrers = new Map<string, { digest: Digest; item: Item; artifactType: unknown }[]>()
  const requests: Recorded[] = []
  const sent = new Map<string, number>()
  const transfers: Transfer[] = []
  const extraHeaders = new Map<string, string>()
  const tokens = new Map<string, number>()
  const tickets = new Map<string, { path: string; left: number; fault: Fault | undefined }>()
  let faults: Armed[] = []
  let auth: { kind: 'bearer'; rules: BearerRules } | { kind: 'basic'; expected: string } | undefined
  let tokensIssued = 0
  let connections = 0
  const connectionIds = new WeakMap<object, number>()
  const held = new Set<{ path: string; free: () => void }>()
  let watchers: { check: () => boolean; resolve: () => void }[] = []

  function wake(): void {
    watchers = watchers.filter((watcher) => {
      if (!watcher.check()) return true
      watcher.resolve()
      return false
    })
  }

  function until(check: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      watchers.push({ check, resolve })
      wake()
    })
  }

  function hold(path: string): Promise<void> {
    return new Promise((resolve) => {
      const entry = {
        path,
        free: () => {
          held.delete(entry)
          resolve()
        },
      }
      held.add(entry)
      wake()
    })
  }

  function takeFault(path: string, method: string): Fault | undefined {
    const armed = faults.find(
      (entry) =>
        entry.left > 0 &&
        isFor(path, entry.target) &&
        (entry.fault.method === undefined || entry.fault.method === method),
    )
    if (armed === undefined) return undefined
    armed.left -= 1
    return armed.fault
  }

  function refuse(
    res: ServerResponse,
    status: number,
    code: string,
    headers: Record<string, string> = {},
  ): void {
    const body = JSON.stringify({ errors: [{ code, message: code.toLowerCase(), detail: null }] })
    res.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, ...headers })
    res.end(res.req.method === 'HEAD' ? undefined : body)
  }

  function challenge(res: ServerResponse) {
    if (auth?.kind === 'basic') {
      res.setHeader('www-authenticate', 'Basic realm="registry"')
      return refuse(res, 401, 'UNAUTHORIZED')
    }
    const rules = auth?.rules ?? {}
    const realm = `${url}/token`
    const usual = `Bearer realm="${realm}",service="${rules.service ?? 'registry'}",scope="repository:from-challenge:pull"`
    const all = rules.challenges?.map((text) => text.replace('{realm}', realm)) ?? [usual]
    if (all.length > 0) res.setHeader('www-authenticate', [...all])
    refuse(res, rules.refusal ?? 401, rules.refusal === 403 ? 'DENIED' : 'UNAUTHORIZED')
  }

  function permitted(req: IncomingMessage): boolean {
    if (auth === undefined) return true
    const given = req.headers.authorization
    if (auth.kind === 'basic') return given === auth.expected
    const token = given?.startsWith('Bearer ') === true ? given.slice(7) : ''
    if (auth.rules.accepts?.includes(token) === true) return true
    const left = tokens.get(token)
    if (left === undefined || left <= 0) return false
    tokens.set(token, left - 1)
    return true
  }

  function giveToken(req: IncomingMessage, res: ServerResponse, body: string) {
    const rules = auth?.kind === 'bearer' ? auth.rules : {}
    const basic = rules.basic
    if (basic !== undefined) {
      const expected = `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}`
      if (req.headers.authorization !== expected) return refuse(res, 401, 'UNAUTHORIZED')
    }
    if (rules.refreshToken !== undefined) {
      if (new URLSearchParams(body).get('refresh_token') !== rules.refreshToken) {
        return refuse(res, 401, 'UNAUTHORIZED')
      }
    }
    tokensIssued += 1
    const token = `token-${tokensIssued}-${randomBytes(6).toString('hex')}`
    tokens.set(token, rules.uses ?? Number.POSITIVE_INFINITY)
    const answer = JSON.stringify({
      [rules.field ?? 'token']: token,
      ...(rules.expiresIn === undefined ? {} : { expires_in: rules.expiresIn }),
      issued_at: new Date().toISOString(),
    })
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
    res.end(answer)
  }

  function listTags(req: IncomingMessage, res: ServerResponse, repo: string) {
    const known = tags.get(repo)
    if (known === undefined) return refuse(res, 404, 'NAME_UNKNOWN')
    const query = new URL(req.url ?? '', url).searchParams
    const n = Number(query.get('n') ?? '1000')
    const last = query.get('last')
    const all = [...known.keys()].sort().filter((tag) => last === null || tag > last)
    const page = all.slice(0, n)
    if (page.length < all.length) {
      res.setHeader('link', `</v2/${repo}/tags/list?n=${n}&last=${page.at(-1)}>; rel="next"`)
    }
    const body = JSON.stringify({ name: repo, tags: page })
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    res.end(body)
  }

  async function send(
    req: IncomingMessage,
    res: ServerResponse,
    key: string,
    item: Item,
    fault: Fault,
    headers: Record<string, string>,
  ): Promise<void> {
    const whole = item.bytes
    const wanted = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '')
    let start = 0
    let end = whole.length
    let status = 200
    const ifRange = req.headers['if-range']
    const sameContent = ifRange === undefined || ifRange === `"${key}"`
    if (wanted !== null && fault.ignoreRange !== true && sameContent) {
      start = Number(wanted[1])
      end = wanted[2] === '' ? whole.length : Math.min(whole.length, Number(wanted[2]) + 1)
      if (start >= whole.length) {
        return refuse(res, 416, 'RANGE_INVALID', { 'content-range': `bytes */${whole.length}` })
      }
      start = Math.min(start + (fault.startLie ?? 0), whole.length)
      status = 206
    }
    const declared = Math.max(0, end - start + (fault.lengthLie ?? 0))
    const all: Record<string, string> = {
      'content-type': item.mediaType,
      'accept-ranges': 'bytes',
      'docker-content-digest': key,
      etag: `"${key}"`,
      ...(fault.chunked === true ? {} : { 'content-length': String(declared) }),
      ...(status === 206 ? { 'content-range': `bytes ${start}-${end - 1}/${whole.length}` } : {}),
      ...headers,
    }
    for (const [name, value] of Object.entries(all)) if (value === '') delete all[name]
    res.writeHead(status, all)
    if (req.method === 'HEAD') return void res.end()
    const transfer: Transfer = { digest: key, from: performance.now(), to: undefined }
    transfers.push(transfer)
    res.once('close', () => {
      transfer.to = performance.now()
    })
    res.flushHeaders()
    const stop = fault.chunked === true ? end : Math.min(end, start + declared)
    let at = start
    while (at < stop) {
      if (fault.stallAt !== undefined && at === fault.stallAt) await hold(req.url ?? '')
      if (fault.dieAt !== undefined && at >= fault.dieAt) break
      if (res.destroyed) return
      let next = Math.min(stop, at + (fault.drip?.bytes ?? 256 * 1024))
      if (fault.stallAt !== undefined && at < fault.stallAt) next = Math.min(next, fault.stallAt)
      if (fault.dieAt !== undefined) next = Math.min(next, fault.dieAt)
      let piece = whole.subarray(at, next)
      if (fault.corruptAt !== undefined && fault.corruptAt >= at && fault.corruptAt < next) {
        // Not `slice`: of a Buffer it is no copy, and the content itself would be wrong from then on.
        piece = Uint8Array.from(piece)
        piece[fault.corruptAt - at] = (piece[fault.corruptAt - at] ?? 0) ^ 1
      }
      sent.set(key, (sent.get(key) ?? 0) + piece.length)
      const flushed = await new Promise<boolean>((resolve) => {
        const onClose = (): void => resolve(false)
        res.once('close', onClose)
        res.write(piece, (error) => {
          res.off('close', onClose)
          resolve(error === undefined || error === null)
        })
      })
      if (!flushed) return
      at = next
      if (fault.drip !== undefined) await new Promise((resolve) => setTimeout(resolve, fault.drip?.everyMs))
    }
    const cut = (fault.dieAt !== undefined && at >= fault.dieAt) || (fault.lengthLie ?? 0) > 0
    if (!cut) return void res.end()
    if (fault.how === 'rst') res.socket?.resetAndDestroy()
    else res.socket?.destroy()
  }

  async function answer(
    req: IncomingMessage,
    res: ServerResponse,
    body: string,
    origin: 'registry' | 'storage',
  ): Promise<void> {
    const path = req.url ?? ''
    const bare = path.split('?', 1)[0] ?? ''
    const method = req.method ?? ''
    let fault: Fault = {}
    let target = bare
    if (origin === 'storage') {
      const ticket = tickets.get(new URL(path, url).searchParams.get('ticket') ?? '')
      if (ticket === undefined || ticket.left <= 0) return refuse(res, 403, 'DENIED')
      ticket.left -= 1
      fault = ticket.fault ?? {}
      target = ticket.path
    } else {
      for (const [name, value] of extraHeaders) res.setHeader(name, value)
      fault = takeFault(bare, method) ?? {}
    }
    if (fault.silent === true) {
      await hold(path)
      return void res.destroy()
    }
    const headers = { ...fault.headers }
    if (fault.status !== undefined) {
      const text = fault.body ?? ''
      for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
      res.writeHead(fault.status, { 'content-length': Buffer.byteLength(text) })
      return void res.end(method === 'HEAD' ? undefined : text)
    }
    if (origin === 'registry') {
      if (bare === '/token') return giveToken(req, res, body)
      if (!permitted(req)) return challenge(res)
      if (fault.redirect !== undefined) {
        const ticket = randomBytes(6).toString('hex')
        const { redirect, ...rest } = fault
        tickets.set(ticket, { path: bare, left: redirect.uses ?? Number.POSITIVE_INFINITY, fault: rest })
        const location = redirect.to ?? `${scheme}://${storageHost}/data?ticket=${ticket}`
        res.writeHead(307, { location, 'content-length': 0 })
        return void res.end()
      }
    }
    if (bare === '/v2/') {
      res.writeHead(200, { 'content-length': 2, 'content-type': 'application/json' })
      return void res.end('{}')
    }
    const parts = /^\/v2\/(.+)\/(blobs|manifests|tags|referrers)\/([^/]+)$/.exec(target)
    if (parts === null) return refuse(res, 404, 'NAME_UNKNOWN')
    const [, repo = '', what, last = ''] = parts
    if (what === 'tags') return listTags(req, res, repo)
    if (what === 'referrers') {
      if (!upstream.referrersApi) return refuse(res, 404, 'NOT_FOUND')
      const found = referrers.get(`${repo}@${last}`) ?? []
      const index = JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_INDEX,
        manifests: found.map(({ digest, item, artifactType }) => ({
          mediaType: item.mediaType,
          digest,
          size: item.bytes.length,
          artifactType,
        })),
      })
      return send(req, res, last, { bytes: Buffer.from(index), mediaType: OCI_INDEX }, fault, headers)
    }
    if (what === 'manifests') {
      const digest = parseDigest(last) ?? tags.get(repo)?.get(last)
      const item = digest === undefined ? undefined : manifests.get(`${repo}@${digest}`)
      if (digest === undefined || item === undefined) return refuse(res, 404, 'MANIFEST_UNKNOWN')
      return send(req, res, digest, item, fault, headers)
    }
    const blob = blobs.get(last)
    if (blob === undefined || (keptIn.get(last) ?? repo) !== repo) return refuse(res, 404, 'BLOB_UNKNOWN')
    return send(req, res, last, blob, fault, headers)
  }

  async function start(origin: 'registry' | 'storage'): Promise<{ server: Server; host: string }> {
    const onRequest = (req: IncomingMessage, res: ServerResponse): void => {
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('error', () => {})
      res.on('error', () => {})
      req.on('end', () => {
        const body = Buffer.concat(chunks).toString()
        requests.push({
          origin,
          method: req.method ?? '',
          path: req.url ?? '',
          headers: req.headers,
          body,
          connection: connectionIds.get(req.socket) ?? -1,
        })
        wake()
        answer(req, res, body, origin).catch((error: unknown) => res.destroy(error as Error))
      })
    }
    const server: Server =
      certificates === undefined
        ? createHttp(onRequest)
        : createHttps({ key: certificates.key, cert: certificates.cert }, onRequest)
    // A client that stands still for a moment finds the connections that it has kept.
    server.keepAliveTimeout = 120_000
    server.on(certificates === undefined ? 'connection' : 'secureConnection', (socket: object) => {
      connectionIds.set(socket, connections)
      connections += 1
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return { server, host: `127.0.0.1:${(server.address() as AddressInfo).port}` }
  }

  const registry = await start('registry')
  const storage = await start('storage')
  const url = `${scheme}://${registry.host}`
  const storageHost = storage.host

  const upstream: FaultyUpstream = {
    host: registry.host,
    url,
    storageHost,
    certificates,
    requests,
    get tokensIssued() {
      return tokensIssued
    },
    extraHeaders,
    transfers,
    referrersApi: true,
    addBlob(bytes) {
      const digest = sha256(bytes)
      blobs.set(digest, { bytes, mediaType: 'application/octet-stream' })
      return digest
    },
    keepIn(repo, ...digests) {
      for (const digest of digests) keptIn.set(digest, repo)
    },
    addManifest(repo, tag, content, mediaType = OCI_MANIFEST) {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      const digest = sha256(bytes)
      const item = { bytes, mediaType }
      manifests.set(`${repo}@${digest}`, item)
      if (!tags.has(repo)) tags.set(repo, new Map())
      if (tag !== undefined) upstream.addTag(repo, tag, digest)
      let parsed: { subject?: { digest?: string }; artifactType?: unknown } = {}
      try {
        parsed = JSON.parse(Buffer.from(bytes).toString()) ?? {}
      } catch {
        // Tests store what is not JSON as well.
      }
      const subject = parsed.subject?.digest
      if (subject !== undefined) {
        const key = `${repo}@${subject}`
        const known = referrers.get(key) ?? []
        known.push({ digest, item, artifactType: parsed.artifactType })
        referrers.set(key, known)
      }
      return digest
    },
    addTag(repo, tag, digest) {
      const known = tags.get(repo) ?? new Map<string, Digest>()
      known.set(tag, digest)
      tags.set(repo, known)
    },
    addImage(repo, tag, layers = [randomBytes(1000)]) {
      const digests = layers.map((layer) => upstream.addBlob(layer))
      const configBytes = Buffer.from(
        JSON.stringify({
          architecture: 'amd64',
          os: 'linux',
          config: {},
          rootfs: { type: 'layers', diff_ids: digests },
        }),
      )
      const config = upstream.addBlob(configBytes)
      const manifest = upstream.addManifest(
        repo,
        tag,
        JSON.stringify({
          schemaVersion: 2,
          mediaType: OCI_MANIFEST,
          config: { mediaType: OCI_CONFIG, digest: config, size: configBytes.length },
          layers: layers.map((layer, i) => ({
            mediaType: OCI_LAYER,
            digest: digests[i],
            size: layer.length,
          })),
        }),
      )
      return { manifest, config, layers: digests }
    },
    fault(target, fault) {
      faults.push({ target, fault, left: fault.times ?? Number.POSITIVE_INFINITY })
    },
    heal(target) {
      faults = target === undefined ? [] : faults.filter((entry) => entry.target !== target)
    },
    release() {
      for (const entry of [...held]) entry.free()
    },
    stalled: (target) => until(() => [...held].some((entry) => isFor(entry.path, target))),
    asked: (target, times = 1) => until(() => upstream.count(target) >= times),
    requireBearer(rules = {}) {
      tokens.clear()
      auth = { kind: 'bearer', rules }
    },
    requireBasic(username, password) {
      const expected = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
      auth = { kind: 'basic', expected }
    },
    requireNothing() {
      auth = undefined
    },
    bytesSent: (target) => sent.get(target) ?? 0,
    count: (target, method) =>
      requests.filter(
        (entry) => isFor(entry.path, target) && (method === undefined || entry.method === method),
      ).length,
    async close() {
      upstream.release()
      await Promise.all(
        [registry.server, storage.server].map((server) => {
          const closed = once(server, 'close')
          server.close()
          server.closeAllConnections()
          return closed
        }),
      )
    },
  }
  return upstream
}
