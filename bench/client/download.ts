import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { headOf, requestText } from './http.ts'
import { type Download, type Downloaded, now } from './jobs.ts'

const SILENT_AT_MOST_MS = 60_000
/** Fits the core's own cache: with less the calls cost more, with more the copying does. */
const READ_AT_MOST = 256 << 10
/** Every socket of this process reads into the same memory: each read is done with before the next one starts. */
const buffer = Buffer.allocUnsafeSlow(READ_AT_MOST)

/** One GET on a connection of its own, the body counted and thrown away: about the lightest receiver there can be in Node. */
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

    const take = (length: number): boolean => {
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
      onread: { buffer, callback: take },
    })
    socket.setTimeout(SILENT_AT_MOST_MS, () => socket.destroy(new Error('nothing came for a minute')))
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
        whole: bytes === expected,
        sha256,
        error,
      })
    })
  })
}
