import { setMaxListeners } from 'node:events'
import { onAbort } from '../../lib/async/abort.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { Intake } from '../../ports/source.ts'
import type { RemoteIdentity } from '../identity/credentials.ts'
import type { Connection, Partner } from './connection.ts'
import { messageFrame, overFrame } from './frames.ts'
import { refusal } from './messages.ts'
import { Untaken, upload } from './upload.ts'

/** One exchange with another agent, as both sides see it. Whoever is given one ends it. */
export class Line {
  readonly #connection: Connection
  readonly #onOver: () => void
  readonly #gone = new AbortController()
  readonly #forget: () => void
  #isSending = false
  #isEnded = false

  /** `onOver` is called when both sides have ended it in good order: the connection can take the next. */
  constructor(connection: Connection, onOver: () => void) {
    this.#connection = connection
    this.#onOver = onOver
    setMaxListeners(0, this.#gone.signal)
    connection.inbound.begin()
    if (connection.isAlive) {
      this.#forget = connection.onDeath((reason) => this.#gone.abort(reason))
    } else {
      this.#forget = () => {}
      this.#gone.abort(connection.reason)
    }
  }

  /** Who the other is; undefined when membership does not know it (yet). */
  get member(): Partner | undefined {
    return this.#connection.member
  }

  /** Who the other is by its certificate, whatever it says and whether membership knows it or not. */
  get shown(): RemoteIdentity {
    return this.#connection.shown
  }

  /** The other, for people. */
  get who(): string {
    return this.#connection.who
  }

  /** Aborted when the connection breaks. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Throws a `Failure` when it cannot be said. */
  send(message: object): void {
    this.#mustGoOn()
    this.#connection.say(messageFrame(message))
  }

  /**
   * The next message; undefined when the other side has ended the exchange. Rejects with a `Failure` when the connection
   * broke or `ms` have passed, and may be called again after the latter.
   */
  async receive(options: { signal: AbortSignal; ms: number }): Promise<unknown> {
    this.#mustGoOn()
    return this.#connection.inbound.receive(options)
  }

  /**
   * Sends `content` from `from` to its end as it becomes readable, within the upload cap. When the content fails the
   * other side is told so, and the exchange can still be ended in good order.
   */
  async sendContent(content: Content, from: number, { signal }: { signal: AbortSignal }): Promise<void> {
    this.#mustGoOn()
    const { who, shown, traffic } = this.#connection
    const { pieces, upload: pace, stallMs } = traffic
    const write = (bytes: Uint8Array, done: () => void) => this.#connection.write(bytes, done)
    this.#isSending = true
    try {
      await this.#whileWanted(signal, () =>
        upload(content, from, {
          who,
          taker: shown.id ?? shown.fingerprint,
          pieces,
          pace,
          stallMs,
          signal: this.gone,
          write,
        }),
      )
      this.#isSending = false
    } catch (error) {
      if (error instanceof Untaken) this.#connection.die(error.failure)
      this.gone.throwIfAborted()
      this.#connection.say(messageFrame(refusal(error)))
      this.#isSending = false
      throw error
    }
  }

  /** Puts the next `length` bytes of content into the intake, within the download cap. */
  async pour(intake: Intake, length: number, { signal }: { signal: AbortSignal }): Promise<void> {
    this.#mustGoOn()
    await this.#whileWanted(signal, () =>
      this.#connection.inbound.pour(intake, length, { signal: this.gone }),
    )
  }

  /** The exchange is over. In the middle of a content this breaks the connection. */
  end(): void {
    if (this.#isEnded) return
    const connection = this.#connection
    if (this.#isSending || !connection.inbound.isInStep) {
      this.destroy()
      return
    }
    this.#isEnded = true
    try {
      connection.say(overFrame())
    } catch {
      return
    }
    const late = setTimeout(
      () => connection.die(connection.failure('does not end')),
      connection.traffic.lingerMs,
    )
    const stop = connection.onDeath(() => clearTimeout(late))
    connection.inbound.finish(() => {
      clearTimeout(late)
      stop()
      this.#forget()
      this.#onOver()
    })
  }

  destroy(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#connection.die(this.#connection.failure('the exchange was given up'))
  }

  /** What is no longer wanted in the middle takes the connection with it. */
  async #whileWanted(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    signal.throwIfAborted()
    const stop = onAbort(signal, () => this.#connection.die(signal.reason))
    try {
      await work()
    } finally {
      stop()
    }
  }

  #mustGoOn(): void {
    if (this.#isEnded) throw new Failure('unavailable', `${this.who}: the exchange is over`)
  }
}
