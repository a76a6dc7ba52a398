import { LimitedSink } from '../../lanes/limited-sink.ts'
import { RateLimiter } from '../../lib/async/rate-limiter.ts'
import { Semaphore } from '../../lib/async/semaphore.ts'
import { Failure } from '../../ports/failure.ts'
import { type ConnectionsPerBlob, forwardedIntake } from '../../ports/source.ts'
import type { HttpResponse, SendRequest } from '../http/messages.ts'
import type { Upstream } from '../options/options.ts'
import { LONGEST_WAIT_MS, RequestPace } from './request-pace.ts'

/** Without a number in the settings, a blob never comes over more connections. */
const MOST_CONNECTIONS_PER_BLOB = 8

type Given = Pick<
  Upstream,
  'connectionsPerBlob' | 'maxConnections' | 'maxRequestsPerSecond' | 'maxBytesPerSecond'
>

/** The limits that the settings give for one upstream. All of its hosts share them. */
export class UpstreamLimits {
  readonly connectionsPerBlob: ConnectionsPerBlob
  readonly #maxConnections: number | undefined
  readonly #connections: Semaphore | undefined
  readonly #pace: RequestPace | undefined
  readonly #bytes: RateLimiter | undefined

  constructor({ connectionsPerBlob, maxConnections, maxRequestsPerSecond, maxBytesPerSecond }: Given) {
    const isAuto = connectionsPerBlob === 'auto'
    const most = isAuto ? MOST_CONNECTIONS_PER_BLOB : connectionsPerBlob
    this.connectionsPerBlob = { most: Math.min(most, maxConnections ?? most), isAuto }
    this.#maxConnections = maxConnections
    this.#connections = maxConnections === undefined ? undefined : new Semaphore(maxConnections)
    this.#pace = maxRequestsPerSecond === undefined ? undefined : new RequestPace(maxRequestsPerSecond)
    this.#bytes = maxBytesPerSecond === undefined ? undefined : new RateLimiter(maxBytesPerSecond)
  }

  /** Carries out a transfer of a blob, or of a part of one, when a connection may be used for it. */
  async transfer<Result>(source: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    if (this.#connections === undefined) return work()
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(this.#tooManyFailure(source)), LONGEST_WAIT_MS)
    const waiting = AbortSignal.any([signal, deadline.signal])
    try {
      return await this.#connections.use(waiting, () => {
        clearTimeout(timer)
        return work()
      })
    } finally {
      clearTimeout(timer)
    }
  }

  /** Sends requests when it is their turn. */
  paced(source: string, send: SendRequest): SendRequest {
    const pace = this.#pace
    if (pace === undefined) return send
    return async (request) => {
      await pace.turn(source, request)
      return send(request)
    }
  }

  /** The same response, whose body comes no faster than the limit. */
  limited(response: HttpResponse, signal: AbortSignal): HttpResponse {
    const limiter = this.#bytes
    if (limiter === undefined) return response
    const { status, headers, body } = response
    return {
      status,
      headers,
      body: {
        length: body.length,
        readInto: async (intake, options) => {
          const length = (body.length ?? Number.POSITIVE_INFINITY) - options.skip
          const opening = LimitedSink.open(intake, { length, limiter, signal })
          opening.catch(() => body.dispose())
          const sink = await opening
          const slow = forwardedIntake(intake, {
            buffer: () => sink.buffer(),
            nextBuffer: () => sink.nextBuffer(),
            filled: (count) => sink.filled(count),
            drained: () => sink.drained(),
          })
          await body.readInto(slow, options)
        },
        dispose: () => body.dispose(),
      },
    }
  }

  #tooManyFailure(source: string): Failure {
    const message = `${source}: the ${this.#maxConnections} connections of maxConnections were in use for ${LONGEST_WAIT_MS / 1000} s`
    return new Failure('busy', message, { source, retryAfterMs: 1000 })
  }
}
