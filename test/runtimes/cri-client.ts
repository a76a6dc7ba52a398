import { connect } from 'node:http2'
import { connect as connectSocket } from 'node:net'

/** Calls the image service of CRI v1 (api.proto) at containerd's socket, as the kubelet does, without a gRPC library. */
const SERVICE = '/runtime.v1.ImageService'
const DEADLINE_MS = 60_000

export async function pullByCri(socket: string, image: string): Promise<void> {
  await call(socket, 'PullImage', imageRequest(image))
}

export async function removeByCri(socket: string, image: string): Promise<void> {
  await call(socket, 'RemoveImage', imageRequest(image))
}

/** Whether the image service answers. */
export async function answersCri(socket: string): Promise<boolean> {
  await call(socket, 'ListImages', Buffer.alloc(0))
  return true
}

/** `{ image: { image } }`: field 1 of the request is an ImageSpec, and field 1 of that the name. */
function imageRequest(image: string): Buffer {
  const name = Buffer.from(image)
  if (name.length > 125) throw new Error('the name is too long for a length of one byte')
  return Buffer.concat([Buffer.from([0x0a, name.length + 2, 0x0a, name.length]), name])
}

async function call(path: string, method: string, message: Buffer): Promise<void> {
  const session = connect('http://localhost', { createConnection: () => connectSocket(path) })
  try {
    await new Promise<void>((resolve, reject) => {
      session.on('error', reject)
      const stream = session.request({
        ':method': 'POST',
        ':path': `${SERVICE}/${method}`,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      stream.setTimeout(DEADLINE_MS, () => reject(new Error(`${method}: no answer`)))
      const ended = (headers: Readonly<Record<string, unknown>>): void => {
        if (headers['grpc-status'] === undefined) return
        if (headers['grpc-status'] === '0') resolve()
        else reject(new Error(`${method}: ${decodeURIComponent(String(headers['grpc-message']))}`))
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
    session.destroy()
  }
}
