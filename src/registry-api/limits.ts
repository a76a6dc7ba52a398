import { maxBodies } from './answer/buffer-pool.ts'
import type { SlotLimits } from './answer/send-slots.ts'
import type { ConnectionLimits } from './connections/connections.ts'
import type { Http2Limits } from './connections/http2/http2-sessions.ts'
import type { AnswerLimits } from './exchange/answers-under-way.ts'

/** The limits on what clients may use of the agent's time and memory. docs/security.md lists them. */
export interface Limits {
  /** The size of the buffer pool through which all bodies are sent. */
  readonly memoryBytes: number
  readonly maxConnections: number
  /** The most connections that speak HTTP/2, which cost more memory than others. */
  readonly maxSessions: number
  /** The most answers under way at once, on all connections together. */
  readonly maxAnswers: number
  /** How long a body waits for a send slot before its client gets a 503. */
  readonly waitMs: number
  /** While others wait, a client that takes less than 64 KiB in this time is cut off. */
  readonly slowMs: number
  /** The most bytes of the request line and headers together. */
  readonly maxHeaderBytes: number
  /** The longest time from the first byte of a request to the end of its headers; also for a TLS handshake. */
  readonly headersMs: number
  /** The longest time in which a request body that no endpoint wants may come. */
  readonly requestMs: number
  /** How long a client may send nothing of a body that it pushes. */
  readonly bodyStallMs: number
  /** How long a new connection may send nothing. Clients open some connections in advance. */
  readonly silentMs: number
  /** How long a connection may be idle between requests: longer than the 90 s for which Go's HTTP client reuses one. */
  readonly keepAliveMs: number
  /** A body of which no byte could be sent for so long is aborted. */
  readonly stallMs: number
  /** How long the status line waits for the first byte of a content that is being fetched. */
  readonly firstByteMs: number
  /** The most requests on one HTTP/1.1 connection that wait for the answers before theirs. */
  readonly maxPipelined: number
  /** The most open streams on one HTTP/2 connection. */
  readonly maxStreams: number
  /** The most bytes of a request body that no endpoint wants. */
  readonly maxBodyBytes: number
  /** How often the certificate files are checked for changes. */
  readonly certificateMs: number
}

export const LIMITS: Limits = {
  memoryBytes: 16 * 1024 * 1024,
  maxConnections: 1024,
  maxSessions: 256,
  maxAnswers: 1024,
  waitMs: 2500,
  slowMs: 500,
  maxHeaderBytes: 16 * 1024,
  headersMs: 20_000,
  requestMs: 60_000,
  bodyStallMs: 60_000,
  silentMs: 90_000,
  keepAliveMs: 120_000,
  stallMs: 300_000,
  firstByteMs: 10_000,
  maxPipelined: 64,
  maxStreams: 128,
  maxBodyBytes: 1024 * 1024,
  certificateMs: 10_000,
}

/** A body that has waited for so long gets a send slot of a sender with a large share. */
const FAIR_MS = 1000
/** The most bodies that clients send at once. */
const MAX_UPLOADS = 64
/** The most manifests of more than 64 KiB, or of unknown size, that are received at once: each is in memory as a whole. */
const MAX_LARGE_MANIFESTS = 8
/** The most large lists that are sent at once: each is in memory until it is sent. */
const MAX_LISTS = 8

/** A quarter of each limit is reserved for clients on this machine; one remote address may have at most half. */
function dividedLimits(total: number): { total: number; perAddress: number; reservedForLocal: number } {
  return { total, perAddress: Math.ceil(total / 2), reservedForLocal: Math.floor(total / 4) }
}

export function connectionLimits({ maxConnections }: Limits): ConnectionLimits {
  return dividedLimits(maxConnections)
}

export function http2Limits({ maxSessions, maxStreams, maxHeaderBytes, keepAliveMs }: Limits): Http2Limits {
  const sessions = { ...dividedLimits(maxSessions), perConnection: 1 }
  return { sessions, maxStreams, maxHeaderBytes, keepAliveMs }
}

export function answerLimits({ maxAnswers, maxStreams, slowMs, stallMs }: Limits): AnswerLimits {
  return { ...dividedLimits(maxAnswers), perConnection: maxStreams, slowMs, stallMs }
}

export function bodyLimits(limits: Limits): SlotLimits {
  const total = maxBodies(limits.memoryBytes)
  return { ...slotLimits(total, limits), perConnection: Math.ceil(total / 4), maxWaiting: limits.maxAnswers }
}

export function listLimits(limits: Limits): SlotLimits {
  return slotLimits(MAX_LISTS, limits)
}

export function uploadLimits(limits: Limits): SlotLimits {
  const total = MAX_UPLOADS
  return { ...slotLimits(total, limits), perConnection: total / 4, maxWaiting: 4 * total, what: 'uploads' }
}

export function largeManifestLimits(limits: Limits): SlotLimits {
  return { ...slotLimits(MAX_LARGE_MANIFESTS, limits), what: 'uploads' }
}

function slotLimits(total: number, { waitMs, slowMs }: Limits): SlotLimits {
  return {
    ...dividedLimits(total),
    perConnection: total / 2,
    maxWaiting: 2 * total,
    waitMs,
    slowMs,
    fairMs: FAIR_MS,
    what: 'downloads',
  }
}
