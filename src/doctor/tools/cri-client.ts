import { once } from 'node:events'
import { connect } from 'node:http2'
import { connect as connectSocket } from 'node:net'

/** The image service of CRI v1 (api.proto), which the kubelet calls. It needs no library for four small messages. */
const SERVICE = '/runtime.v1.ImageService'
/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const UNIMPLEMENTED = 12

interface Options {
  readonly signal: AbortSignal
}

/** A runtime has answered that it could not do what it was asked for. */
export class CriError extends Error {
  /** The runtime does not pull for Kubernetes, such as the containerd of Docker. */
  readonly isUnimplemented: boolean

  constructor(message: string, status: number) {
    super(message)
    this.name = 'CriError'
    this.isUnimplemented = status === UNIMPLEMENTED
  }
}

export async function pullByCri(socket: string, image: string, options: Options): Promise<void> {
  await callCri(socket, 'PullImage', imageRequest(image), options)
}

export async function removeByCri(socket: string, image: string, options: Options): Promise<void> {
  await callCri(socket, 'RemoveImage', imageRequest(image), options)
}

/** Rejects if the image service does not answer. */
export async function askCri(socket: string, options: Options): Promise<void> {
  await callCri(socket, 'ListImages', Buffer.alloc(0), options)
}

/** `{ image: { image } }`: field 1 of the request is an ImageSpec, and field 1 of that the name. */
function imageRequest(image: string): Buffer {
  const name = Buffer.from(image)
  if (name.length > 125) throw new Error('the name is too long for a length of one byte')
  return Buffer.concat([Buffer.from([0x0a, name.length + 2, 0x0a, name.length]), name])
}

/** Calls a method of the image service; its answer is not read. */
export async function callCri(
  path: string,
  method: string,
  message: Buffer,
  { signal }: Options,
): Promise<void> {
  const connection = connectSocket(path)
  // The errors of a connection that is not there yet name their reason, those of a session do not.
  await once(connection, 'connect', { signal })
  const session = connect('http://localhost', { createConnection: () => connection })
  const onAbort = (): void => session.destroy(signal.reason)
  signal.addEventListener('abort', onAbort)
  try {
    await new Promise<void>((resolve, reject) => {
      session.on('error', reject)
      session.on('close', () => reject(signal.reason ?? new Error(`${method}: the connection was closed`)))
      const stream = session.request({
        ':method': 'POST',
        ':path': `${SERVICE}/${method}`,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      const ended = (headers: Readonly<Record<string, unknown>>): void => {
        const status = headers['grpc-status']
        if (status === undefined) return
        if (status === '0') resolve()
        else reject(new CriError(textOf(headers['grpc-message']), Number(status)))
      }
      // A call that fails at once has its status in the headers.
      stream.on('response', ended)
      stream.on('trailers', ended)
      stream.on('error', reject)
      stream.resume()
      const length = Buffer.alloc(5)
      length.writeUInt32BE(message.length, 1)
      stream.end(Buffer.concat([length, message]))
    })
  } finally {
    signal.removeEventListener('abort', onAbort)
    session.destroy()
  }
}

/** gRPC encodes messages with percent signs; a runtime may send others. */
function textOf(message: unknown): string {
  const text = String(message ?? 'no reason')
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
