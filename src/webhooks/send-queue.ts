import { pause } from '../lib/async/abort.ts'
import { backoffMs } from '../lib/async/backoff.ts'
import { publish } from '../observe/events.ts'
import type { ImageEvent } from './image-event.ts'
import type { SendResult } from './webhook-client.ts'

export interface SendPolicy {
  /** How many events may wait. When there is no room for another one, the oldest is dropped. */
  readonly mostWaiting: number
  /** How often an event is sent before it is dropped. */
  readonly mostTries: number
  /** An event that waits for longer is dropped. */
  readonly mostAgeMs: number
  readonly firstPauseMs: number
  readonly longestPauseMs: number
  /** How long one attempt may take. */
  readonly deadlineMs: number
}

export const SEND_POLICY: SendPolicy = {
  mostWaiting: 1000,
  mostTries: 20,
  mostAgeMs: 3_600_000,
  firstPauseMs: 1000,
  longestPauseMs: 60_000,
  deadlineMs: 10_000,
}

interface WaitingEvent {
  readonly event: ImageEvent
  readonly since: number
}

/** What became of an event: sent, or dropped and why. */
type EventEnd = 'delivered' | 'full' | 'refused' | 'late' | 'stopped'

interface SendQueueOptions {
  readonly name: string
  readonly send: (event: ImageEvent, options: { signal: AbortSignal }) => Promise<SendResult>
  readonly policy: SendPolicy
}

/** The events for one webhook, which are sent in their order, one at a time. */
export class SendQueue {
  readonly #options: SendQueueOptions
  readonly #waiting: WaitingEvent[] = []
  /** Aborted when no attempt may be under way any more. */
  readonly #ended = new AbortController()
  /** Aborted when nothing is to be waited for: each event gets one more attempt. */
  readonly #closing = new AbortController()
  #sending: Promise<void> | undefined
  #underWay = 0
  /** Attempts that have failed since the last one that did not. */
  #failed = 0
  #delivered = 0
  #dropped = 0
  #problem: string | undefined

  constructor(options: SendQueueOptions) {
    this.#options = options
  }

  get state(): {
    readonly waiting: number
    readonly delivered: number
    readonly dropped: number
    readonly problem: string | undefined
  } {
    const waiting = this.#waiting.length + this.#underWay
    return { waiting, delivered: this.#delivered, dropped: this.#dropped, problem: this.#problem }
  }

  add(event: ImageEvent): void {
    if (this.#closing.signal.aborted) return
    this.#waiting.push({ event, since: performance.now() })
    if (this.#waiting.length > this.#options.policy.mostWaiting) {
      this.#waiting.shift()
      this.#end('full')
    }
    this.#sending ??= this.#sendAll()
  }

  /** Sends what waits, for `drainMs` at most; the rest is dropped. */
  async close({ drainMs }: { drainMs: number }): Promise<void> {
    const timer = setTimeout(() => this.#ended.abort(), drainMs)
    this.#closing.abort()
    try {
      await this.#sending
    } finally {
      clearTimeout(timer)
    }
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#underWay = 1
      const end = await this.#send(next)
      this.#underWay = 0
      this.#end(end)
      if (end !== 'stopped') continue
      for (const _ of this.#waiting.splice(0)) this.#end('stopped')
    }
    this.#sending = undefined
  }

  async #send({ event, since }: WaitingEvent): Promise<EventEnd> {
    const { send, policy } = this.#options
    for (let tries = 1; ; tries += 1) {
      if (this.#ended.signal.aborted) return 'stopped'
      if (performance.now() - since > policy.mostAgeMs) return 'late'
      const result = await send(event, { signal: this.#ended.signal })
      this.#failed = result.kind === 'failed' ? this.#failed + 1 : 0
      this.#problem = result.kind === 'delivered' ? undefined : result.problem
      if (result.kind !== 'failed') return result.kind
      if (this.#closing.signal.aborted) return 'stopped'
      if (tries === policy.mostTries) return 'late'
      await this.#pause(result)
    }
  }

  /** Waits until the next attempt, or until the queue is closed. */
  async #pause({ problem, retryAfterMs = 0 }: Extract<SendResult, { kind: 'failed' }>): Promise<void> {
    const { name, policy } = this.#options
    const { firstPauseMs: firstMs, longestPauseMs: maxMs } = policy
    const wantedMs = backoffMs(this.#failed, { firstMs, maxMs, jitter: 0.2 })
    const nextInMs = Math.round(Math.max(wantedMs, Math.min(retryAfterMs, maxMs)))
    publish('webhook.failed', { webhook: name, problem, nextInMs })
    await pause(nextInMs, { signal: this.#closing.signal, ref: false }).catch(() => {})
  }

  #end(outcome: EventEnd): void {
    if (outcome === 'delivered') this.#delivered += 1
    else this.#dropped += 1
    publish('webhook.ended', { webhook: this.#options.name, outcome, problem: this.#problem })
  }
}
