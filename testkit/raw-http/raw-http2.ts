import { within } from '../deadline.ts'
import { type Field, fieldBlock, statusOf } from './hpack.ts'
import {
  FLAG,
  type Frame,
  FrameReader,
  headers,
  PREFACE,
  ping,
  rstStream,
  SETTING,
  settings,
  settingsAck,
  TYPE,
  windowUpdate,
} from './http2-frames.ts'
import { RawSocket, type Target } from './raw-socket.ts'

const PATIENCE_MS = 60_000
/** How many received frames are stored until they are asked for. */
const MAX_UNREAD_FRAMES = 10_000

export interface Opening {
  /** The initial window of every stream in bytes: with 0 no body can begin. */
  readonly window?: number | undefined
  /** Added once to the window of the connection. */
  readonly connectionWindow?: number | undefined
  /** Whether SETTINGS and PING are answered. */
  readonly polite?: boolean
  /** The deadline of the connection, and of each frame that is waited for. */
  readonly timeoutMs?: number
}

/** A client that sends any frames over HTTP/2, also invalid ones, and opens windows only on demand. */
export class RawHttp2 {
  readonly socket: RawSocket
  readonly #target: Target
  readonly #polite: boolean
  readonly #timeoutMs: number
  readonly #reader = new FrameReader()
  readonly #unread: Frame[] = []
  readonly #waiting = new Set<{ is: (frame: Frame) => boolean; resolve: (frame: Frame) => void }>()
  readonly #counts = new Map<number, number>()
  #onFrame: (frame: Frame) => void = () => {}
  #nextStream = 1

  /** Resolves when the server has sent its SETTINGS. */
  static async open(target: Target, opening: Opening = {}): Promise<RawHttp2> {
    const client = await RawHttp2.begin(target, opening)
    try {
      await client.nextFrame(TYPE.settings, 0)
    } catch (error) {
      client.socket.close()
      throw error
    }
    return client
  }

  /** Sends the preface and SETTINGS, without waiting for the server. */
  static async begin(target: Target, opening: Opening = {}): Promise<RawHttp2> {
    const client = new RawHttp2(target, await RawSocket.open(target, 'h2', opening), opening)
    const { window, connectionWindow } = opening
    const values: Record<number, number> = { [SETTING.headerTableSize]: 0 }
    if (window !== undefined) values[SETTING.initialWindowSize] = window
    const frames = [PREFACE, settings(values)]
    if (connectionWindow !== undefined) frames.push(windowUpdate(0, connectionWindow))
    void client.socket.send(Buffer.concat(frames))
    return client
  }

  private constructor(
    target: Target,
    socket: RawSocket,
    { polite = true, timeoutMs = PATIENCE_MS }: Opening,
  ) {
    this.#target = target
    this.#polite = polite
    this.#timeoutMs = timeoutMs
    this.socket = socket
    socket.onBytes((bytes) => {
      for (const frame of this.#reader.read(bytes)) this.#took(frame)
    })
    socket.readAll()
  }

  /** Calls the listener with every frame that is received. */
  onFrame(listener: (frame: Frame) => void): void {
    this.#onFrame = listener
  }

  /** How many frames of this type were received. */
  count(type: number): number {
    return this.#counts.get(type) ?? 0
  }

  /** The number for a new stream. */
  newStream(): number {
    const stream = this.#nextStream
    this.#nextStream += 2
    return stream
  }

  /** The header block of a GET request. */
  block(path: string, more: readonly Field[] = [], method = 'GET'): Buffer {
    return fieldBlock([
      [':method', method],
      [':scheme', this.#target.ca === undefined ? 'http' : 'https'],
      [':path', path],
      [':authority', `127.0.0.1:${this.#target.port}`],
      ...more,
    ])
  }

  /** Sends a whole GET request and returns its stream. */
  get(path: string, more: readonly Field[] = []): number {
    const stream = this.newStream()
    void this.socket.send(headers(stream, this.block(path, more)))
    return stream
  }

  cancel(stream: number): Promise<void> {
    return this.socket.send(rstStream(stream))
  }

  /** Opens the windows of the stream and of the connection by so many bytes. */
  grant(stream: number, bytes: number): Promise<void> {
    return this.socket.send(Buffer.concat([windowUpdate(0, bytes), windowUpdate(stream, bytes)]))
  }

  /** The next frame of this type on this stream that was not returned yet. */
  nextFrame(type: number, stream: number): Promise<Frame> {
    return this.#next(`frame ${type} of stream ${stream}`, (frame) => {
      return frame.type === type && frame.stream === stream
    })
  }

  /** The status of the answer on this stream; undefined if the server has reset the stream. */
  async status(stream: number): Promise<number | undefined> {
    const { type, payload } = await this.#next(`the answer on stream ${stream}`, (frame) => {
      return frame.stream === stream && (frame.type === TYPE.headers || frame.type === TYPE.rstStream)
    })
    return type === TYPE.headers ? statusOf(payload) : undefined
  }

  /** Resolves with true when the server has processed all earlier frames and answered a PING, with false when the connection is closed. */
  async settled(): Promise<boolean> {
    if (!this.socket.isOpen) return false
    const answered = this.#next('the answer to a PING', ({ type, flags }) => {
      return type === TYPE.ping && (flags & FLAG.ack) !== 0
    })
    void this.socket.send(ping())
    return Promise.race([
      answered.then(
        () => true,
        () => false,
      ),
      this.socket.closed.then(() => false),
    ])
  }

  #next(what: string, is: (frame: Frame) => boolean): Promise<Frame> {
    const at = this.#unread.findIndex(is)
    const [found] = at < 0 ? [] : this.#unread.splice(at, 1)
    if (found !== undefined) return Promise.resolve(found)
    let waiter: { is: (frame: Frame) => boolean; resolve: (frame: Frame) => void } | undefined
    const came = new Promise<Frame>((resolve) => {
      waiter = { is, resolve }
      this.#waiting.add(waiter)
    })
    const gone = this.socket.ended.then(() => {
      throw new Error(`the connection was closed before ${what}`)
    })
    return within(this.#timeoutMs, what, Promise.race([came, gone])).finally(() => {
      if (waiter !== undefined) this.#waiting.delete(waiter)
    })
  }

  #took(frame: Frame): void {
    const { type, flags, payload } = frame
    this.#counts.set(type, this.count(type) + 1)
    this.#onFrame(frame)
    const isAck = (flags & FLAG.ack) !== 0
    if (type === TYPE.settings && !isAck && this.#polite) void this.socket.send(settingsAck())
    if (type === TYPE.ping && !isAck && this.#polite) void this.socket.send(ping(payload, { ack: true }))
    for (const waiter of this.#waiting) {
      if (!waiter.is(frame)) continue
      this.#waiting.delete(waiter)
      waiter.resolve(frame)
      return
    }
    // The payload is copied, because a slice would keep the whole read in memory.
    if (type !== TYPE.data && this.#unread.length < MAX_UNREAD_FRAMES) {
      this.#unread.push({ ...frame, payload: Buffer.from(payload) })
    }
  }
}
