import type { AnswerLimits } from './answer/answers.ts'
import { mostBodies } from './answer/buffers.ts'
import type { SeatLimits } from './answer/seats.ts'
import type { ConnectionLimits } from './connections/connections.ts'
import type { Http2Limits } from './connections/http2.ts'

/** What a client may take of this agent's time and memory. */
export interface Limits {
  /** For the buffers that bodies go through, all responses together. */
  readonly memoryBytes: number
  readonly maxConnections: number
  /** Of those, the ones that speak HTTP/2, which cost more memory. */
  readonly maxSessions: number
  /** Under way at once, over all connections. */
  readonly maxAnswers: number
  /** How long a body waits for its turn before its client is told to come back. */
  readonly waitMs: number
  /** While others wait, a client may take nothing for so long. */
  readonly slowMs: number
  /** Request line and headers together. */
  readonly maxHeaderBytes: number
  /** From the first byte of a request to the end of its headers; also for the TLS handshake. */
  readonly headersMs: number
  /** From the first byte of a request to the end of its body, which nobody reads. */
  readonly requestMs: number
  /** A connection that has not sent anything yet: clients open some in advance. */
  readonly silentMs: number
  /** Between requests. Go's clients keep idle connections for up to 90 s and must not find them closed. */
  readonly keepAliveMs: number
  /** A body of which no byte could be sent for so long is ended. */
  readonly stallMs: number
  /** How long the status line waits for the first byte of content that is on its way. */
  readonly firstByteMs: number
  /** Requests that a client has sent before the answers to the ones before them. */
  readonly maxPipelined: number
  readonly maxStreams: number
  /** Of a request body, which nobody wants. */
  readonly maxBodyBytes: number
  /** How often the certificate's files are looked at. */
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
  silentMs: 90_000,
  keepAliveMs: 120_000,
  stallMs: 300_000,
  firstByteMs: 10_000,
  maxPipelined: 64,
  maxStreams: 128,
  maxBodyBytes: 1024 * 1024,
  certificateMs: 10_000,
}

/** So long a body waits before it gets the seat of another who has many. */
const FAIR_MS = 1000
/** A large list is in memory as long as it is sent. */
const LISTS_AT_ONCE = 8

/** A quarter of everything is for clients on this machine; half is the most that one address may have. */
function shared(total: number): { total: number; perAddress: number; reservedForLocal: number } {
  return { total, perAddress: Math.ceil(total / 2), reservedForLocal: Math.floor(total / 4) }
}

export function connectionLimits({ maxConnections }: Limits): ConnectionLimits {
  return shared(maxConnections)
}

export function http2Limits({ maxSessions, maxStreams, maxHeaderBytes, keepAliveMs }: Limits): Http2Limits {
  const sessions = { ...shared(maxSessions), perConnection: 1 }
  return { sessions, maxStreams, maxHeaderBytes, keepAliveMs }
}

export function answerLimits({ maxAnswers, maxStreams, slowMs, stallMs }: Limits): AnswerLimits {
  return { ...shared(maxAnswers), perConnection: maxStreams, slowMs, stallMs }
}

export function bodyLimits({ memoryBytes, maxAnswers, waitMs, slowMs }: Limits): SeatLimits {
  const total = mostBodies(memoryBytes)
  return {
    ...shared(total),
    perConnection: Math.ceil(total / 4),
    maxWaiting: maxAnswers,
    waitMs,
    slowMs,
    fairMs: FAIR_MS,
  }
}

export function listLimits({ waitMs, slowMs }: Limits): SeatLimits {
  const total = LISTS_AT_ONCE
  return {
    ...shared(total),
    perConnection: total / 2,
    maxWaiting: 2 * total,
    waitMs,
    slowMs,
    fairMs: FAIR_MS,
  }
}
