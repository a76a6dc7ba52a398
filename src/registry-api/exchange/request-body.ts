import type { Readable } from 'node:stream'
import { onAbort } from '../../lib/async/abort.ts'
import { noteShortLivedMemory } from './short-lived-memory.ts'

/** Where the bytes of a body go; an `UploadWriter` is one. */
export interface BodySink {
  /** Memory for the next bytes, never empty. */
  buffer(): Uint8Array
  /** Says that `length` bytes of `buffer()` hold content now. False: stop until `drained` resolves. */
  filled(length: number): boolean
  drained(): Promise<void>
}

export interface ReceiveOptions {
  /** The client may send nothing for so long. The time in which the sink takes nothing does not count. */
  readonly stallMs: number
  readonly signal: AbortSignal
  /** Called with the size of each part that has come. */
  readonly onReceived: (bytes: number) => void
}

export const ENDS_EARLY = 'the body ends early, or is not valid HTTP'

/** The body is not valid HTTP, or has stopped before its end: nothing can follow it on an HTTP/1.1 connection. */
export class BrokenBody extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'BrokenBody'
  }
}

/** The body of one request, which an endpoint may receive once. */
export class RequestBody {
  /** How many bytes the client has declared; undefined when it has declared nothing, but may send a body. */
  readonly length: number | undefined
  readonly #stream: Readable
  readonly #ask: () => void
  #state: 'untouched' | 'receiving' | 'whole' | 'broken' = 'untouched'
  #settle: ((error: Error) => void) | undefined

  /** `ask` tells a client that waits for it to send the body. */
  constructor(stream: Readable, length: number | undefined, ask: () => void) {
    this.#stream = stream
    this.length = length
    this.#ask = ask
    if (length === 0) this.#state = 'whole'
  }

  get isUntouched(): boolean {
    return this.#state === 'untouched'
  }

  get isWhole(): boolean {
    return this.#state === 'whole'
  }

  /** The rest of the body will never come. */
  get isBroken(): boolean {
    return this.#state === 'broken'
  }

  /** Says that the rest will never come: `receive` rejects, now or when it is called. */
  breakOff(error: BrokenBody): void {
    if (this.#settle !== undefined) this.#settle(error)
    else if (this.#state === 'untouched') this.#state = 'broken'
  }

  /** Receives the whole body. When it rejects, the sink has what came until then. */
  receive(sink: BodySink, { stallMs, signal, onReceived }: ReceiveOptions): Promise<void> {
    // Node may end a stream without content before anybody reads it.
    if (this.#stream.readableEnded) this.#state = 'whole'
    if (this.#state === 'whole') return Promise.resolve()
    if (this.#state === 'broken') return Promise.reject(new BrokenBody(ENDS_EARLY))
    if (signal.aborted) return Promise.reject(signal.reason)
    this.#state = 'receiving'
    const stream = this.#stream
    return new Promise((resolve, reject) => {
      let isSettled = false
      let isDraining = false
      let hasEnded = false
      let stallTimer: NodeJS.Timeout
      const onStalled = () =>
        settle(new BrokenBody(`no byte of the body has come for ${Math.round(stallMs / 1000)} s`))
      const settle = (error?: unknown) => {
        if (isSettled) return
        isSettled = true
        clearTimeout(stallTimer)
        stopListening()
        stream.off('data', onData)
        stream.off('end', onEnd)
        if (error === undefined) this.#state = 'whole'
        else if (error instanceof BrokenBody) this.#state = 'broken'
        this.#settle = undefined
        if (error === undefined) resolve()
        else reject(error)
      }
      const onData = (chunk: Uint8Array) => {
        try {
          onReceived(chunk.length)
          noteShortLivedMemory(chunk.length)
          const rest = fill(sink, chunk)
          if (rest === undefined) stallTimer.refresh()
          else {
            clearTimeout(stallTimer)
            stream.pause()
            isDraining = true
            drain(rest).catch(settle)
          }
        } catch (error) {
          stream.pause()
          settle(error)
        }
      }
      const drain = async (chunk: Uint8Array) => {
        for (let rest: Uint8Array | undefined = chunk; rest !== undefined; ) {
          await sink.drained()
          if (isSettled) return
          rest = fill(sink, rest)
        }
        isDraining = false
        if (hasEnded) return settle()
        stallTimer = setTimeout(onStalled, stallMs)
        stream.resume()
      }
      const onEnd = () => {
        // A stream ends as soon as its last part is read, although it is paused then.
        hasEnded = true
        if (!isDraining) settle()
      }
      const stopListening = onAbort(signal, () => settle(signal.reason))
      stallTimer = setTimeout(onStalled, stallMs)
      this.#settle = settle
      // Node emits an error, too, when the connection closes; without a listener it would end the process.
      stream.on('error', ignore)
      stream.on('data', onData)
      stream.on('end', onEnd)
      this.#ask()
    })
  }
}

/** Copies a chunk into the sink. Gives the rest, which may be empty, when the sink is full. */
function fill(sink: BodySink, chunk: Uint8Array): Uint8Array | undefined {
  let rest = chunk
  while (rest.length > 0) {
    const target = sink.buffer()
    const length = Math.min(target.length, rest.length)
    target.set(length === rest.length ? rest : rest.subarray(0, length))
    rest = rest.subarray(length)
    if (!sink.filled(length)) return rest
  }
  return undefined
}

function ignore(): void {}
