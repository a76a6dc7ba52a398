import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { type Command, REQUEST_BYTES, type Reply, type Status } from './messages.ts'

// One end of a bare TLS 1.3 connection between two Node processes. The sender has the bytes in memory. The receiver discards
// them, or hashes and writes them before it reads on. The sizes of the buffers were the fastest.

const PIECE = Buffer.alloc(256 << 10, 0x5a)
const READ_BUFFER = Buffer.allocUnsafeSlow(256 << 10)

let socket: TLSSocket | undefined
let wanted = 0
let received = 0
let onBytes = (_: Uint8Array): void => {}
let onAll = (): void => {}

async function listen(key: string, cert: string): Promise<Partial<Status>> {
  const server = createServer({ key, cert, minVersion: 'TLSv1.3' }, (client) => {
    client.setNoDelay(true)
    client.on('data', (request: Buffer) => send(client, Number(request.readBigUInt64BE())))
    client.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return address === null || typeof address === 'string' ? {} : { port: address.port }
}

function send(client: TLSSocket, left: number): void {
  if (left === 0) return
  const piece = PIECE.subarray(0, left)
  client.write(piece, () => send(client, left - piece.length))
}

async function connectTo(port: number): Promise<Partial<Status>> {
  const onread = {
    buffer: READ_BUFFER,
    callback: (length: number): boolean => {
      onBytes(READ_BUFFER.subarray(0, length))
      received += length
      if (received >= wanted) onAll()
      return true
    },
  }
  // The verification of the certificate is not measured.
  const options = { host: '127.0.0.1', port, rejectUnauthorized: false, onread }
  socket = connect(options)
  await once(socket, 'secureConnect')
  return { cipher: socket.getCipher().name }
}

async function receive(bytes: number, file: string | undefined): Promise<Partial<Status>> {
  const request = Buffer.alloc(REQUEST_BYTES)
  request.writeBigUInt64BE(BigInt(bytes))
  const sink = file === undefined ? undefined : openSink(file)
  onBytes = sink?.take ?? ((): void => {})
  received = 0
  wanted = bytes
  const startedAt = performance.now()
  try {
    await new Promise<void>((resolve, reject) => {
      onAll = resolve
      if (socket === undefined) reject(new Error('the process is not connected'))
      else socket.once('close', () => reject(new Error('the connection was closed'))).write(request)
    })
  } finally {
    sink?.end()
    socket?.removeAllListeners('close')
  }
  return { ms: performance.now() - startedAt }
}

function openSink(file: string): { take(bytes: Uint8Array): void; end(): void } {
  const hash = createHash('sha256')
  const fd = openSync(file, 'w')
  return {
    take: (bytes) => {
      hash.update(bytes)
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
    },
    end: () => {
      hash.digest()
      closeSync(fd)
    },
  }
}

async function run(command: Command): Promise<Partial<Status>> {
  if (command.do === 'listen') return listen(command.key, command.cert)
  if (command.do === 'connect') return connectTo(command.port)
  if (command.do === 'receive') return receive(command.bytes, command.file)
  return {}
}

process.on('message', (command: Command) => {
  const send = (reply: Reply): void => void process.send?.(reply)
  run(command).then(
    (status) => {
      const { user, system } = process.cpuUsage()
      send({ status: { ...status, cpuSeconds: (user + system) / 1e6 } })
    },
    (error: unknown) => send({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
