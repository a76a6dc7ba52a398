import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { type Order, QUESTION_BYTES, type Reply, type Told } from './messages.ts'

// One end of a TLS 1.3 connection between two Node processes, with nothing around it: the one that sends has the bytes
// in memory, the one that receives forgets them, or hashes and writes them before it reads on. The sizes are those that
// were fastest.

const PIECE = Buffer.alloc(256 << 10, 0x5a)
const ROOM = Buffer.allocUnsafeSlow(256 << 10)

let socket: TLSSocket | undefined
let wanted = 0
let received = 0
let onBytes = (_: Uint8Array): void => {}
let onAll = (): void => {}

async function listen(key: string, cert: string): Promise<Partial<Told>> {
  const server = createServer({ key, cert, minVersion: 'TLSv1.3' }, (client) => {
    client.setNoDelay(true)
    client.on('data', (question: Buffer) => send(client, Number(question.readBigUInt64BE())))
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

async function dial(port: number): Promise<Partial<Told>> {
  const onread = {
    buffer: ROOM,
    callback: (length: number): boolean => {
      onBytes(ROOM.subarray(0, length))
      received += length
      if (received >= wanted) onAll()
      return true
    },
  }
  // Whose certificate it is, is no part of what is measured.
  const options = { host: '127.0.0.1', port, rejectUnauthorized: false, onread }
  socket = connect(options)
  await once(socket, 'secureConnect')
  return { cipher: socket.getCipher().name }
}

async function receive(bytes: number, file: string | undefined): Promise<Partial<Told>> {
  const question = Buffer.alloc(QUESTION_BYTES)
  question.writeBigUInt64BE(BigInt(bytes))
  const keeping = file === undefined ? undefined : keepIn(file)
  onBytes = keeping?.take ?? ((): void => {})
  received = 0
  wanted = bytes
  const startedAt = performance.now()
  try {
    await new Promise<void>((resolve, reject) => {
      onAll = resolve
      if (socket === undefined) reject(new Error('it is not connected'))
      else socket.once('close', () => reject(new Error('the connection was closed'))).write(question)
    })
  } finally {
    keeping?.end()
    socket?.removeAllListeners('close')
  }
  return { ms: performance.now() - startedAt }
}

function keepIn(file: string): { take(bytes: Uint8Array): void; end(): void } {
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

async function obey(order: Order): Promise<Partial<Told>> {
  if (order.do === 'listen') return listen(order.key, order.cert)
  if (order.do === 'connect') return dial(order.port)
  if (order.do === 'receive') return receive(order.bytes, order.file)
  return {}
}

process.on('message', (order: Order) => {
  const reply = (said: Reply): void => void process.send?.(said)
  obey(order).then(
    (told) => {
      const { user, system } = process.cpuUsage()
      reply({ told: { ...told, cpuSeconds: (user + system) / 1e6 } })
    },
    (error: unknown) => reply({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
