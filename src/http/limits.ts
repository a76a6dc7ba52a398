/** What a client may take of this agent's time and memory. */
export interface Limits {
  /** For the buffers that bodies go through, all responses together. */
  readonly memoryBytes: number
  readonly maxConnections: number
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
  maxConnections: 4096,
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
