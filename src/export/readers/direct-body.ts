import { connect } from 'node:net'
import { onAbort } from '../../lib/async/abort.ts'
import { Http1Connection } from '../../lib/http1/http1-connection.ts'
import type { ResponseHead } from '../../lib/http1/response-head.ts'
import { BodyPieces } from './body-pieces.ts'

interface DirectRequest {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** The request fails when no byte comes for this long. */
  readonly silenceMs: number
  readonly signal: AbortSignal
}

/** The body of an answer that a socket puts into large pieces, without a stream of buffers between. */
export interface DirectBody {
  readonly head: ResponseHead
  /** Each piece is valid until the next one is asked for. Closes the connection at the end. */
  pieces(): AsyncGenerator<Uint8Array>
  close(): void
}

/**
 * Sends a GET to a server without TLS, on a connection of its own. The caller closes the body. Undefined: the answer does not
 * declare the length of its body.
 */
export async function getDirectly({
  url,
  headers,
  silenceMs,
  signal,
}: DirectRequest): Promise<DirectBody | undefined> {
  const port = Number(url.port || 80)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const connection = await Http1Connection.open((onread) => connect({ host, port, onread }), { signal })
  const pieces = new BodyPieces()
  let seen = -1
  const timer = setInterval(() => {
    if (seen === pieces.received && !pieces.isFull)
      connection.abort(new Error(`no byte for ${silenceMs / 1000} s`))
    seen = pieces.received
  }, silenceMs)
  const stop = onAbort(signal, () => connection.abort(signal.reason))
  const close = (): void => {
    clearInterval(timer)
    stop()
    connection.destroy()
  }
  try {
    const lines = Object.entries({ host: url.host, ...headers }).map(([name, value]) => `${name}: ${value}`)
    const head = await connection.request(
      `GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`,
    )
    if (head.length === 'undeclared') {
      close()
      return undefined
    }
    return { head, pieces: () => read(connection, pieces, { signal, close }), close }
  } catch (error) {
    close()
    throw error
  }
}

async function* read(
  connection: Http1Connection,
  pieces: BodyPieces,
  { signal, close }: { readonly signal: AbortSignal; readonly close: () => void },
): AsyncGenerator<Uint8Array> {
  const reading = connection.readBody(pieces, 0).then(
    () => pieces.end(),
    (error: unknown) => pieces.end(signal.aborted ? signal.reason : error),
  )
  try {
    yield* pieces.pieces()
  } finally {
    close()
    await reading
  }
}
