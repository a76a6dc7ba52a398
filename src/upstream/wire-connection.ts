import { once } from 'node:events'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import type { Intake } from '../resolve/source.ts'
import { type Lookup, lookupWithin, type Reach } from './address.ts'
import { BadHead, endOfHead, parseHead, type WireHead } from './wire-head.ts'

const HEAD_LIMIT = 64 * 1024
const MOST_INTERIM = 8
/** More than one TLS read can hold back after a pause. */
const HELD_LIMIT = 1024 * 1024
const NOTHING = Buffer.alloc(0)

class WireEnded extends Error {
  constructor(why: string) {
    super(why)
    this.name = 'WireEnded'
  }
}

export interface WireTarget {
  readonly url: URL
  readonly reach: Reach
  readonly lookup: Lookup | undefined
  readonly secureContext: SecureContext | undefined
  readonly rejectUnauthorized: boolean
}

interface Pouring {
  readonly intake: Intake
  /** Bytes still to throw away before the intake gets any. */
  skip: number
  readonly done: () => void
}

/**
 * One HTTP/1.1 connection whose body bytes are read by the kernel straight into the intake's memory (`onread`): no stream
 * buffers, no copies. Requests on it follow one another.
 *
 * Three traps: Node asks for the next buffer after every callback, also after one that paused, and takes an empty one
 * as the end of memory (ENOBUFS). Whatever it is given may be filled to the brim, so that memory of the intake is only
 * given out for bytes that the body still has. And a TLS socket hands over what it has decrypted already even when the
 * callback has paused it: while paused only memory of our own is given out, and what comes is held.
 */
export class WireConnection {
  readonly #socket: Socket
  /** Heads, the bytes around them, and everything that no intake is to see. Never given out empty. */
  readonly #scratch = Buffer.allocUnsafeSlow(HEAD_LIMIT + 1024)
  #state: 'idle' | 'head' | 'between' | 'body' | 'dead' = 'idle'
  /** How much of a head is in `#scratch`. */
  #headLength = 0
  #interim = 0
  /** The intake's memory, when the next read goes there. */
  #direct = false
  /** Body bytes that came before the intake would have them: with the head, or while paused. */
  #held: Buffer = NOTHING
  #paused = false
  #remaining = 0
  #pouring: Pouring | undefined
  #onHead: ((head: WireHead) => void) | undefined
  #reject: ((error: unknown) => void) | undefined
  #keepsAlive = true
  #heard = false
  onDeath: (() => void) | undefined

  private constructor(target: WireTarget) {
    const { url } = target
    const tls = url.protocol === 'https:'
    const hostname = url.hostname.replace(/^\[|\]$/g, '')
    const options = {
      host: hostname,
      port: url.port === '' ? (tls ? 443 : 80) : Number(url.port),
      lookup: lookupWithin(target.reach, target.lookup),
      onread: { buffer: () => this.#nextBuffer(), callback: (length: number) => this.#onBytes(length) },
    }
    this.#socket = tls
      ? connectTls({
          ...options,
          ...(isIP(hostname) === 0 ? { servername: hostname } : {}),
          ...(target.secureContext === undefined ? {} : { secureContext: target.secureContext }),
          rejectUnauthorized: target.rejectUnauthorized,
          ALPNProtocols: ['http/1.1'],
        })
      : connectPlain(options)
    this.#socket.setNoDelay(true)
    this.#socket.on('error', (error) => this.#die(error))
    this.#socket.on('end', () => this.#die(new WireEnded('the connection ended')))
    this.#socket.on('close', () => this.#die(new WireEnded('the connection was closed')))
  }

  /** Connects; the signal is only for that. */
  static async open(target: WireTarget, { signal }: { signal: AbortSignal }): Promise<WireConnection> {
    signal.throwIfAborted()
    const connection = new WireConnection(target)
    const socket = connection.#socket
    try {
      await once(socket, target.url.protocol === 'https:' ? 'secureConnect' : 'connect', { signal })
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  get alive(): boolean {
    return this.#state !== 'dead'
  }

  /** Whether anything has come since the last request: if not, the request may be made again elsewhere. */
  get heard(): boolean {
    return this.#heard
  }

  /** The body is over and the connection can take another request. */
  get reusable(): boolean {
    return this.#state === 'idle' && this.#keepsAlive
  }

  /** While idle it does not keep the process running. */
  rest(): void {
    this.#socket.unref()
  }

  destroy(): void {
    this.#die(new WireEnded('the connection was dropped'))
  }

  /** Fails whatever is under way with this reason. */
  abort(reason: unknown): void {
    this.#die(reason)
  }

  /** Sends a request head and waits for the answer's. The body is then to be poured, or the connection destroyed. */
  ask(head: string): Promise<WireHead> {
    return new Promise((resolve, reject) => {
      if (this.#state !== 'idle') return reject(new WireEnded('the connection is gone'))
      this.#state = 'head'
      this.#headLength = 0
      this.#interim = 0
      this.#heard = false
      this.#onHead = resolve
      this.#reject = reject
      this.#socket.ref()
      this.#socket.write(head, 'latin1')
    })
  }

  /** Gives the body to the intake, without its first `skip` bytes. Rejects when it ends early or is not taken. */
  pour(intake: Intake, skip: number): Promise<void> {
    return new Promise((done, reject) => {
      if (this.#state !== 'between') return reject(new WireEnded('the connection is gone'))
      this.#state = 'body'
      this.#reject = reject
      this.#pouring = { intake, skip, done }
      this.#pump()
    })
  }

  /** Passes over a body that has come already; otherwise the connection is of no more use. */
  dismiss(): void {
    if (this.#state !== 'between' || this.#held.length < this.#remaining) {
      this.destroy()
      return
    }
    this.#state = 'body'
    if (this.#held.length > this.#remaining) this.#keepsAlive = false
    this.#held = NOTHING
    this.#bodyOver()
  }

  #nextBuffer(): Uint8Array {
    this.#direct = false
    if (this.#state === 'head') return this.#scratch.subarray(this.#headLength)
    const pouring = this.#pouring
    if (pouring === undefined || this.#paused || pouring.skip > 0 || this.#remaining === 0)
      return this.#scratch
    this.#direct = true
    const memory = pouring.intake.buffer()
    return memory.length <= this.#remaining ? memory : memory.subarray(0, this.#remaining)
  }

  /** False: read no more until the socket is resumed. */
  #onBytes(length: number): boolean {
    this.#heard = true
    if (this.#state === 'head') return this.#onHeadBytes(length)
    if (this.#state === 'between') {
      this.#hold(this.#scratch.subarray(0, length))
      return false
    }
    if (this.#state === 'body') {
      try {
        if (this.#direct) this.#filled(length)
        else this.#absorb(this.#scratch.subarray(0, length))
      } catch (error) {
        this.#die(error)
      }
      return !this.#paused
    }
    // Nobody has asked for anything: bytes after the end of a body, or before a request.
    this.destroy()
    return false
  }

  #onHeadBytes(length: number): boolean {
    const before = this.#headLength
    this.#headLength += length
    let start = 0
    try {
      for (;;) {
        const bytes = this.#scratch.subarray(start, this.#headLength)
        const end = endOfHead(bytes, start === 0 ? before : 0)
        if (end < 0 || end > HEAD_LIMIT) {
          if (bytes.length > HEAD_LIMIT || end > HEAD_LIMIT) throw new BadHead('too long')
          if (start > 0) this.#scratch.copyWithin(0, start, this.#headLength)
          this.#headLength -= start
          return true
        }
        const head = parseHead(bytes.subarray(0, end))
        if (head.status >= 200) {
          this.#onWholeHead(head, bytes.subarray(end))
          return false
        }
        this.#interim += 1
        if (head.status === 101 || this.#interim > MOST_INTERIM)
          throw new BadHead('an interim answer too many')
        start += end
      }
    } catch (error) {
      this.#die(error)
      return false
    }
  }

  #onWholeHead(head: WireHead, rest: Buffer): void {
    this.#state = 'between'
    this.#keepsAlive = head.keepsAlive
    this.#remaining = head.length === 'elsewise' ? 0 : head.length
    this.#hold(rest)
    const resolve = this.#onHead
    this.#onHead = undefined
    this.#reject = undefined
    resolve?.(head)
  }

  /** Keeps a copy: the scratch memory is given out again at once. */
  #hold(bytes: Buffer): void {
    this.#held = Buffer.concat([this.#held, bytes])
    if (this.#held.length > HELD_LIMIT) this.#die(new WireEnded('more bytes than were asked for'))
  }

  #filled(length: number): void {
    const pouring = this.#pouring
    if (pouring === undefined) return
    this.#remaining -= length
    const more = pouring.intake.filled(length)
    if (this.#remaining === 0) this.#bodyOver()
    else if (!more) this.#pause(pouring)
  }

  /** Bytes in memory of our own: copied to the intake as far as it takes them now. */
  #absorb(bytes: Buffer): void {
    const pouring = this.#pouring
    if (pouring === undefined) return
    const skipped = Math.min(pouring.skip, bytes.length, this.#remaining)
    pouring.skip -= skipped
    this.#remaining -= skipped
    let rest = bytes.subarray(skipped)
    while (rest.length > 0 && this.#remaining > 0 && !this.#paused) {
      const memory = pouring.intake.buffer()
      const length = Math.min(memory.length, rest.length, this.#remaining)
      memory.set(rest.subarray(0, length))
      rest = rest.subarray(length)
      this.#remaining -= length
      const more = pouring.intake.filled(length)
      if (!more && this.#remaining > 0) this.#pause(pouring)
    }
    if (this.#remaining > 0) {
      if (rest.length > 0) this.#hold(rest)
      return
    }
    // Bytes after the end: the body is whole, but what follows cannot be trusted.
    if (rest.length > 0) this.#keepsAlive = false
    this.#bodyOver()
  }

  #pause(pouring: Pouring): void {
    this.#paused = true
    pouring.intake.drained().then(
      () => {
        this.#paused = false
        if (this.#pouring === pouring) this.#pump()
      },
      (error: unknown) => this.#die(error),
    )
  }

  /** Goes on after a pause: first what was held, then the socket. */
  #pump(): void {
    try {
      const held = this.#held
      this.#held = NOTHING
      this.#absorb(held)
    } catch (error) {
      this.#die(error)
    }
    if (this.#state === 'body' && !this.#paused) this.#socket.resume()
  }

  #bodyOver(): void {
    if (this.#state !== 'body') return
    const done = this.#pouring?.done
    this.#state = 'idle'
    this.#pouring = undefined
    this.#reject = undefined
    this.#socket.resume()
    done?.()
  }

  #die(reason: unknown): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    this.#pouring = undefined
    this.#onHead = undefined
    const reject = this.#reject
    this.#reject = undefined
    this.#socket.destroy()
    reject?.(reason)
    this.onDeath?.()
  }
}
