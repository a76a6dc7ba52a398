import type { Intake } from '../source.ts'

export interface BodyRequest {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Aborts the request and the reading of its response. */
  readonly signal: AbortSignal
}

export interface BodyResponse {
  readonly status: number
  readonly headers: { get(name: string): string | undefined }
  /** The caller reads it with `readInto` or calls `dispose`. */
  readonly body: {
    /** The length that Content-Length declares. */
    readonly length: number | undefined
    /** Rejects with a `Failure` when the body ends before the declared length, or is longer than `limit`. */
    readInto(intake: Intake, options: { skip: number; limit: number }): Promise<void>
    /** Frees the connection without reading the body. */
    dispose(): void
  }
}

/** Sends GET requests whose bodies go straight into the memory of an intake. It follows no redirects. */
export interface BodyClient {
  /** Rejects with a `Failure` when there is no answer in time, and with the signal's reason when it is aborted. */
  get(request: BodyRequest): Promise<BodyResponse>
  close(): Promise<void>
}
