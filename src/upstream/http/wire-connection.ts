import { once } from 'node:events'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import { DirectReader } from '../../lib/direct-reader.ts'
import type { Intake } from '../../ports/source.ts'
import type { AddressScope } from '../options/address-scope.ts'
import { type Lookup, lookupWithin } from '../options/scoped-lookup.ts'
import { BadHead, endOfHead, parseHead, type WireHead } from './wire-head.ts'

const HEAD_LIMIT = 64 * 1024
const MOST_INTERIM = 8

class WireEnded extends Error {
  constructor(why: string) {
    super(why)
    this.name = 'WireEnded'
  }
}

export interface WireTarget {
  readonly url: URL
  readonly scopeLimit: AddressScope
  readonly lookup: Lookup | undefined
  readonly secureContext: SecureContext | undefined
  readonly rejectUnauthorized: boolean
}

interface BodyRead {
  readonly intake: Intake
  /** Bytes still to throw away before the intake gets any. */
  skip: number
  readonly done: () => void
}

/**
 * One HTTP/1.1 connection whose body bytes are read by the kernel straight into the intake's memory: see `DirectReader`.
 * Requests on it follow one another.
 */
export class WireConnection {
  readonly #socket: Socket
  /** What has come of the body before the intake would have it, with the head or while paused, is held there. */
  readonly #reader = new DirectReader({
    isBlocked: () => this.#isBlocked,
    room: () => this.#room(),
    filled: (length) => this.#filled(length),
    take: (bytes) => this.#take(bytes),
    overflowError: () => new WireEnded('more bytes than were asked for'),
  })
  #state: 'idle' | 'head' | 'between' | 'body' | 'dead' = 'idle'
  /** The beginning of a head that has not come in one piece. */
  #head: Buffer | undefined
  #headLength = 0
  #interim = 0
  #paused = false
  #remaining = 0
  #bodyRead: BodyRead | undefined
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
      lookup: lookupWithin(target.scopeLimit, target.lookup),
      onread: { buffer: () => this.#reader.room(), callback: (length: number) => this.#onBytes(length) },
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
  readBody(intake: Intake, skip: number): Promise<void> {
    return new Promise((done, reject) => {
      if (this.#state !== 'between') return reject(new WireEnded('the connection is gone'))
      this.#state = 'body'
      this.#reject = reject
      this.#bodyRead = { intake, skip, done }
      if (this.#remaining === 0) this.#bodyOver()
      this.#goOn()
    })
  }

  /** Passes over a body that has come already; otherwise the connection is of no more use. */
  dismiss(): void {
    if (this.#state !== 'between' || this.#reader.heldBytes < this.#remaining) {
      this.destroy()
      return
    }
    this.#state = 'body'
    if (this.#reader.heldBytes > this.#remaining) this.#keepsAlive = false
    this.#reader.dropHeld()
    this.#bodyOver()
  }

  get #isBlocked(): boolean {
    return this.#state === 'between' || this.#state === 'dead' || this.#paused
  }

  /** As much as the body still has. */
  #room(): Uint8Array | number {
    const read = this.#bodyRead
    if (read === undefined || read.skip > 0 || this.#remaining === 0) return Number.POSITIVE_INFINITY
    try {
      const memory = read.intake.buffer()
      return memory.length <= this.#remaining ? memory : memory.subarray(0, this.#remaining)
    } catch (error) {
      this.#die(error)
      return Number.POSITIVE_INFINITY
    }
  }

  /** False: read no more until the socket is resumed. */
  #onBytes(length: number): boolean {
    this.#heard = true
    this.#attempt(() => this.#reader.filled(length))
    return !this.#isBlocked
  }

  #take(bytes: Buffer): number {
    if (this.#state === 'head') return this.#takeHead(bytes)
    if (this.#state === 'body') return this.#takeBody(bytes)
    // Nobody has asked for anything: bytes after the end of a body, or before a request.
    this.destroy()
    return bytes.length
  }

  #takeHead(bytes: Buffer): number {
    const before = this.#headLength
    const text = before === 0 ? bytes : this.#joined(bytes)
    const end = endOfHead(text, before)
    if (end > HEAD_LIMIT || (end < 0 && text.length > HEAD_LIMIT)) throw new BadHead('too long')
    if (end < 0) {
      if (before === 0) this.#joined(bytes)
      return bytes.length
    }
    this.#headLength = 0
    this.#head = undefined
    this.#onHeadEnd(parseHead(text.subarray(0, end)))
    return end - before
  }

  /** With what has come of the head before, in memory of its own; of both no more than what is certainly too long. */
  #joined(bytes: Buffer): Buffer {
    this.#head ??= Buffer.allocUnsafeSlow(HEAD_LIMIT + 1)
    this.#headLength += bytes.copy(this.#head, this.#headLength)
    return this.#head.subarray(0, this.#headLength)
  }

  #onHeadEnd(head: WireHead): void {
    if (head.status < 200) {
      this.#interim += 1
      if (head.status === 101 || this.#interim > MOST_INTERIM) throw new BadHead('an interim answer too many')
      return
    }
    this.#state = 'between'
    this.#keepsAlive = head.keepsAlive
    this.#remaining = head.length === 'undeclared' ? 0 : head.length
    const resolve = this.#onHead
    this.#onHead = undefined
    this.#reject = undefined
    resolve?.(head)
  }

  /** Bytes in memory of the reader: copied to the intake as far as it takes them now. */
  #takeBody(bytes: Buffer): number {
    const read = this.#bodyRead
    if (read === undefined) return bytes.length
    const skipped = Math.min(read.skip, bytes.length, this.#remaining)
    if (skipped > 0) {
      read.skip -= skipped
      this.#remaining -= skipped
      if (this.#remaining === 0) this.#bodyOver()
      return skipped
    }
    const memory = read.intake.buffer()
    const length = Math.min(memory.length, bytes.length, this.#remaining)
    memory.set(bytes.subarray(0, length))
    this.#filled(length)
    return length
  }

  #filled(length: number): void {
    const read = this.#bodyRead
    if (read === undefined) return
    this.#remaining -= length
    const more = read.intake.filled(length)
    if (this.#remaining === 0) this.#bodyOver()
    else if (!more) this.#pause(read)
  }

  #pause(read: BodyRead): void {
    this.#paused = true
    read.intake.drained().then(
      () => {
        this.#paused = false
        if (this.#bodyRead === read) this.#goOn()
      },
      (error: unknown) => this.#die(error),
    )
  }

  /** After a pause: first what was held, then the socket. */
  #goOn(): void {
    this.#attempt(() => this.#reader.resume())
    if (this.#state === 'body' && !this.#paused) this.#socket.resume()
  }

  #attempt(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#die(error)
    }
  }

  #bodyOver(): void {
    if (this.#state !== 'body') return
    const done = this.#bodyRead?.done
    this.#state = 'idle'
    this.#bodyRead = undefined
    this.#reject = undefined
    this.#socket.resume()
    done?.()
  }

  #die(reason: unknown): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    this.#bodyRead = undefined
    this.#onHead = undefined
    const reject = this.#reject
    this.#reject = undefined
    this.#socket.destroy()
    reject?.(reason)
    this.onDeath?.()
  }
}
