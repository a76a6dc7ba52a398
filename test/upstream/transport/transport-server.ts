import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { subscribe } from '../../../src/observe/events.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { SendRequest } from '../../../src/upstream/http/messages.ts'
import { type AddressScope, ANY_SCOPE } from '../../../src/upstream/options/address-scope.ts'
import type { Deadlines } from '../../../src/upstream/options/options.ts'
import { Transport } from '../../../src/upstream/transport/transport.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { sharedLanes } from '../../lanes/shared-lanes.ts'

/** Both clients of a transport, each without and with TLS: they must behave alike. */
export const CLIENTS = [
  { name: 'send', tls: false, who: 'undici' },
  { name: 'send', tls: true, who: 'undici over TLS' },
  { name: 'sendForBlob', tls: false, who: 'the blob client' },
  { name: 'sendForBlob', tls: true, who: 'the blob client over TLS' },
] as const

/** Deadlines that do not pass within a test. */
export const LONG_DEADLINES = { connectMs: 60_000, headerMs: 60_000, tokenMs: 60_000 }
/** The deadlines for a server that never answers. */
export const SHORT_DEADLINES = { ...LONG_DEADLINES, headerMs: 100 }
export const BYTES = randomBytes(3_000_000)
export const ALL = { skip: 0, limit: Number.POSITIVE_INFINITY }

export interface TransportWithServer {
  readonly server: FaultyUpstream
  readonly send: SendRequest
  readonly digest: string
  get(options?: {
    signal?: AbortSignal
    scopeLimit?: AddressScope
    url?: URL
    headers?: Record<string, string>
  }): ReturnType<SendRequest>
}

export async function startTransport(
  t: TestContext,
  name: 'send' | 'sendForBlob',
  tls: boolean,
  deadlines: Deadlines = LONG_DEADLINES,
): Promise<TransportWithServer> {
  const server = await startFaultyUpstream({ tls })
  t.after(() => server.close())
  let caFile: string | undefined
  if (server.certificates !== undefined) {
    const folder = await mkdtemp(join(tmpdir(), 'leat-send-'))
    t.after(() => rm(folder, { recursive: true }))
    caFile = join(folder, 'ca.pem')
    await writeFile(caFile, server.certificates.ca)
  }
  const transport = new Transport({
    caFile,
    acceptInvalidCerts: false,
    proxies: undefined,
    lookup: undefined,
    deadlines,
    lanes: sharedLanes(),
  })
  t.after(() => transport.close())
  const send = transport[name]
  const digest = server.addBlob(BYTES)
  const never = new AbortController().signal
  return {
    server,
    send,
    digest,
    get: ({
      signal = never,
      scopeLimit = ANY_SCOPE,
      url = new URL(`${server.url}/v2/a/blobs/${digest}`),
      headers = {},
    } = {}) => send({ method: 'GET', url, headers, kind: 'blob', scopeLimit, signal }),
  }
}

export const same = (a: Uint8Array, b: Uint8Array): boolean =>
  createHash('sha256').update(a).digest('hex') === createHash('sha256').update(b).digest('hex')

export const isFailure =
  (code: string, message = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof Failure, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }

/** The statuses of `upstream.answered` events for this server; undefined when there was no response. */
export function publishedStatuses(t: TestContext, server: FaultyUpstream): (number | undefined)[] {
  const statuses: (number | undefined)[] = []
  t.after(subscribe('upstream.answered', ({ host, status }) => host === server.host && statuses.push(status)))
  return statuses
}
