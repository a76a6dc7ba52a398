import { RawSocket, type Target } from './raw-socket.ts'

/** A client that sends over HTTP/1.1 whatever it is told to, and reads when and as fast as it is told to. */
export class RawHttp1 {
  readonly socket: RawSocket
  readonly #chunks: Buffer[] = []
  readonly #keeps: boolean

  /** It reads all that comes unless told otherwise; with `keep` it remembers what. */
  static async open(
    target: Target,
    options: { reads?: boolean; keep?: boolean; patienceMs?: number } = {},
  ): Promise<RawHttp1> {
    return new RawHttp1(await RawSocket.dial(target, 'http/1.1', options), options)
  }

  private constructor(
    socket: RawSocket,
    { reads = true, keep = false }: { reads?: boolean; keep?: boolean },
  ) {
    this.socket = socket
    this.#keeps = keep
    socket.onBytes((bytes) => {
      if (this.#keeps) this.#chunks.push(bytes)
    })
    if (reads) socket.readAll()
  }

  /** All that has come so far. */
  get heard(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  send(bytes: Uint8Array | string): Promise<void> {
    return this.socket.send(bytes)
  }

  get(path: string, more = ''): Promise<void> {
    return this.send(requestFor(path, more))
  }
}

/** A whole GET request; `more` are header lines, each with its end. */
export function requestFor(path: string, more = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`
}
