/** How many uploads there may be, and how long they stay. */
export interface UploadLimits {
  readonly inAll: number
  readonly perRepository: number
  /** How many contents stay open between two requests: each holds memory of the write window. */
  readonly openBetweenRequests: number
  /** How long one of them stays open. After that its bytes are hashed again when the next request comes. */
  readonly openMs: number
  /** An upload that gets no byte for this long is removed. */
  readonly idleMs: number
  /** How often uploads are looked at that may be removed. */
  readonly sweepMs: number
  /** Room is reserved in steps of so many bytes for a request that does not say its size. */
  readonly stepBytes: number
}

export const UPLOAD_LIMITS: UploadLimits = {
  inAll: 1024,
  perRepository: 256,
  openBetweenRequests: 4,
  openMs: 10_000,
  idleMs: 24 * 60 * 60 * 1000,
  sweepMs: 60 * 60 * 1000,
  stepBytes: 32 * 1024 * 1024,
}
