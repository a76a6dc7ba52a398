import { onAbort } from '../../lib/async/abort.ts'
import { Deferred } from '../../lib/async/deferred.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import type { EventLine } from '../../schemas/event-report.ts'
import { type Events, subscribe } from '../events.ts'
import { redact } from '../redact.ts'
import { rfc3339 } from '../rfc3339.ts'

/** Each follower costs a little work for each request. */
const MAX_FOLLOWERS = 16
/** How many lines wait for a follower that does not take them. */
const MAX_WAITING = 1000
/** A client that hears nothing for longer cannot tell a quiet agent from one that hangs. */
const IDLE_MS = 5000

interface Limits {
  readonly followers?: number
  readonly waiting?: number
  readonly idleMs?: number
}

/** Those who follow what this node does, as it happens. No transfer waits for them. */
export class EventFollowers {
  readonly #limits: Required<Limits>
  #count = 0

  constructor({ followers = MAX_FOLLOWERS, waiting = MAX_WAITING, idleMs = IDLE_MS }: Limits = {}) {
    this.#limits = { followers, waiting, idleMs }
  }

  /**
   * Begins when the first line is read, and ends when `signal` is aborted. undefined: there are too many followers.
   */
  follow(signal: AbortSignal): AsyncIterable<EventLine> | undefined {
    return this.#count < this.#limits.followers ? this.#lines(signal) : undefined
  }

  async *#lines(signal: AbortSignal): AsyncGenerator<EventLine> {
    const waiting: EventLine[] = []
    let dropped = 0
    let wake = (): void => {}
    const add = (line: EventLine | undefined): void => {
      if (line === undefined) return
      if (waiting.length < this.#limits.waiting) waiting.push(line)
      else dropped += 1
      wake()
    }
    const subscriptions = [
      subscribe('request.ended', (event) => add(requestLine(event))),
      subscribe('flight.ended', (event) => add(transferLine(event))),
    ]
    this.#count += 1
    try {
      yield idleLine()
      while (!signal.aborted) {
        const line = waiting.shift()
        if (line !== undefined) yield line
        else if (dropped > 0) {
          const events = dropped
          dropped = 0
          yield { is: 'dropped', events }
        } else if (!(await this.#isWoken(signal, (listener) => (wake = listener)))) yield idleLine()
      }
    } finally {
      this.#count -= 1
      for (const unsubscribe of subscriptions) unsubscribe()
    }
  }

  /** Waits for a line, or the abort. False: nothing came for a while. */
  #isWoken(signal: AbortSignal, onWake: (listener: () => void) => void): Promise<boolean> {
    const { promise, resolve } = new Deferred<boolean>()
    const timer = setTimeout(() => resolve(false), this.#limits.idleMs)
    onWake(() => resolve(true))
    const stopListening = onAbort(signal, () => resolve(true))
    return promise.finally(() => {
      clearTimeout(timer)
      stopListening()
    })
  }
}

function idleLine(): EventLine {
  return { is: 'idle', at: rfc3339(Date.now()) }
}

function requestLine(event: Events['request.ended']): EventLine | undefined {
  const { method, repository, reference, code, bytes, ms, source, aborted, error } = event
  // Only requests for a manifest or a blob have both.
  if (repository === undefined || reference === undefined) return undefined
  return {
    is: 'request',
    at: rfc3339(Date.now()),
    method,
    repository: repositoryKey(repository),
    reference,
    code,
    bytes,
    ms,
    source: source ?? null,
    aborted,
    error: error === undefined ? null : redact(error),
  }
}

function transferLine(event: Events['flight.ended']): EventLine {
  const { digest, kind, repository, size, ms, source, isStored, error } = event
  return {
    is: 'transfer',
    at: rfc3339(Date.now()),
    digest,
    kind,
    repository: repositoryKey(repository),
    size,
    ms,
    source: source ?? null,
    stored: isStored,
    error: error === undefined ? null : redact(error.message),
  }
}
