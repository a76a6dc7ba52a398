import { RawSocket, type Target } from './raw-socket.ts'

/** A client that sends any bytes over HTTP/1.1, and whose reading is controlled. */
export class RawHttp1 {
  readonly socket: RawSocket
  readonly #chunks: Buffer[] = []
  readonly #keeps: boolean

  /** By default the client reads all bytes as they come; with `keep` it stores them. */
  static async open(
    target: Target,
    options: { reads?: boolean; keep?: boolean; timeoutMs?: number } = {},
  ): Promise<RawHttp1> {
    return new RawHttp1(await RawSocket.open(target, 'http/1.1', options), options)
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

  /** The bytes received so far. */
  get receivedBytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  send(bytes: Uint8Array | string): Promise<void> {
    return this.socket.send(bytes)
  }

  get(path: string, more = ''): Promise<void> {
    return this.send(requestFor(path, more))
  }
}

/** A whole GET request; `more` are additional header lines with their line ends. */
export function requestFor(path: string, more = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`
}
