import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { headOf, requestText } from './http.ts'
import { type Download, type Downloaded, now } from './jobs.ts'

const MAX_SILENCE_MS = 60_000
/** Fits the cache of a core: smaller reads need more calls, and larger ones copy more slowly. */
const READ_BYTES = 256 << 10
/** All sockets share this memory: each read is processed before the next one begins. */
const buffer = Buffer.allocUnsafeSlow(READ_BYTES)

/** Sends one GET on a connection of its own, and counts and discards the body with as little work as possible. */
export function download(job: Download): Promise<Downloaded> {
  return new Promise((resolve) => {
    const startedAt = now()
    const hash = job.hash === true ? createHash('sha256') : undefined
    let head = ''
    let headDone = false
    let status = 0
    let expected = Infinity
    let bytes = 0
    let firstByteAt = Number.NaN
    let error: string | undefined

    const onRead = (length: number): boolean => {
      let from = 0
      if (!headDone) {
        const before = head.length
        head += buffer.toString('latin1', 0, Math.min(length, 16_384))
        const parsed = headOf(head)
        if (parsed === undefined) return true
        headDone = true
        status = parsed.status
        expected = parsed.length ?? Infinity
        from = parsed.end - before
      }
      if (length > from && bytes === 0) firstByteAt = now()
      bytes += length - from
      hash?.update(buffer.subarray(from, length))
      if (bytes >= expected || bytes >= (job.leaveAfter ?? Infinity)) socket.destroy()
      return true
    }

    const socket = connect({
      host: '127.0.0.1',
      port: job.port,
      onread: { buffer, callback: onRead },
    })
    socket.setTimeout(MAX_SILENCE_MS, () => socket.destroy(new Error('nothing came for a minute')))
    socket.on('connect', () => socket.write(requestText(job)))
    socket.on('error', (failure) => {
      error = failure.message
    })
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      const sha256 = hash?.digest('hex')
      resolve({
        status,
        bytes,
        startedAt,
        firstByteAt,
        endedAt: now(),
        isWhole: bytes === expected,
        sha256,
        error,
      })
    })
  })
}
