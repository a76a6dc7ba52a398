import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { connect } from 'node:tls'

// A bare Node process that requests one body at a time over HTTPS, hashes it and writes it, with as little as possible around
// that: what it needs is what an agent cannot do without.

export interface Fetch {
  readonly port: number
  readonly path: string
  readonly bytes: number
  readonly file: string
}

export interface Fetched {
  readonly cpuSeconds: number
  readonly sha256: string
}

const BUFFER = Buffer.allocUnsafeSlow(256 << 10)

function fetchBody({ port, path, bytes, file }: Fetch): Promise<Fetched> {
  const before = process.cpuUsage()
  const hash = createHash('sha256')
  const fd = openSync(file, 'w')
  let missing = bytes
  let hasHead = false
  return new Promise<Fetched>((resolve, reject) => {
    const take = (body: Uint8Array): void => {
      hash.update(body)
      for (let done = 0; done < body.length; ) done += writeSync(fd, body, done)
      missing -= body.length
      if (missing > 0) return
      socket.destroy()
      const { user, system } = process.cpuUsage(before)
      resolve({ cpuSeconds: (user + system) / 1e6, sha256: hash.digest('hex') })
    }
    const onread = {
      buffer: BUFFER,
      callback: (length: number): boolean => {
        const start = hasHead ? 0 : BUFFER.subarray(0, length).indexOf('\r\n\r\n') + 4
        hasHead = true
        take(BUFFER.subarray(start, length))
        return true
      },
    }
    const options = { host: '127.0.0.1', port, rejectUnauthorized: false, onread }
    const socket = connect(options)
    socket.once('error', reject)
    socket.once('secureConnect', () => socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`))
  }).finally(() => closeSync(fd))
}

process.on('message', (request: Fetch) => {
  fetchBody(request).then(
    (fetched) => process.send?.(fetched),
    () => process.exit(1),
  )
})
process.on('disconnect', () => process.exit(0))
