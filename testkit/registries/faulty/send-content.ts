import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { sendError } from './answers.ts'
import type { Item } from './content.ts'
import type { Fault, Faults, MetFault } from './faults.ts'
import type { RequestLog } from './request-log.ts'

const WRITE_BYTES = 256 * 1024

export interface Sending {
  readonly digest: string
  readonly item: Item
  readonly met: MetFault
  readonly faults: Faults
  readonly log: RequestLog
}

/** Answers with the content, or with the requested range of it, as far as the fault lets it. */
export async function sendContent(
  request: IncomingMessage,
  response: ServerResponse,
  { digest, item, met, faults, log }: Sending,
): Promise<void> {
  const { fault } = met
  const size = item.bytes.length
  const range = rangeOf(request, digest, size, fault)
  if (range === 'invalid') {
    return sendError(response, 416, 'RANGE_INVALID', { 'content-range': `bytes */${size}` })
  }
  const { start, end } = range ?? { start: 0, end: size }
  const declared = Math.max(0, end - start + (fault.lengthLie ?? 0))
  const headers: Record<string, string> = {
    'content-type': item.mediaType,
    'accept-ranges': 'bytes',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    ...(fault.chunked === true ? {} : { 'content-length': String(declared) }),
    ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${size}` }),
    ...fault.headers,
  }
  for (const [name, value] of Object.entries(headers)) if (value === '') delete headers[name]
  response.writeHead(range === undefined ? 200 : 206, headers)
  if (request.method === 'HEAD') return void response.end()
  const transfer = log.addTransfer(digest)
  response.once('close', () => {
    transfer.to = performance.now()
  })
  response.flushHeaders()
  const stop = fault.chunked === true ? end : Math.min(end, start + declared)
  let at = start
  while (at < stop) {
    if (at === fault.stallAt) await faults.stall(met, request.url ?? '')
    if (fault.dieAt !== undefined && at >= fault.dieAt) return breakOff(response, fault)
    if (response.destroyed) return
    const bytes = bytesAt(item.bytes, at, stop, fault)
    log.addSent(digest, bytes.length)
    if (!(await write(response, bytes))) return
    at += bytes.length
    if (fault.drip !== undefined) await delay(fault.drip.everyMs)
  }
  const isCut = (fault.dieAt !== undefined && at >= fault.dieAt) || (fault.lengthLie ?? 0) > 0
  if (isCut) breakOff(response, fault)
  else response.end()
}

/** The range to send with a 206; undefined for all of the content with a 200. */
function rangeOf(
  { headers }: IncomingMessage,
  digest: string,
  size: number,
  { ignoreRange, startLie = 0 }: Fault,
): { start: number; end: number } | 'invalid' | undefined {
  const wanted = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '')
  const ifRange = headers['if-range']
  const isSameContent = ifRange === undefined || ifRange === `"${digest}"`
  if (wanted === null || ignoreRange === true || !isSameContent) return undefined
  const start = Number(wanted[1])
  const end = wanted[2] === '' ? size : Math.min(size, Number(wanted[2]) + 1)
  if (start >= size) return 'invalid'
  return { start: Math.min(start + startLie, size), end }
}

/** The bytes to write next: no further than the next offset at which the fault does something. */
function bytesAt(
  content: Uint8Array,
  at: number,
  stop: number,
  { drip, stallAt, dieAt, corruptAt }: Fault,
): Uint8Array {
  let next = Math.min(stop, at + (drip?.bytes ?? WRITE_BYTES))
  if (stallAt !== undefined && at < stallAt) next = Math.min(next, stallAt)
  if (dieAt !== undefined) next = Math.min(next, dieAt)
  const bytes = content.subarray(at, next)
  if (corruptAt === undefined || corruptAt < at || corruptAt >= next) return bytes
  // `slice` of a Buffer shares its memory, and would corrupt the content itself.
  const corrupted = Uint8Array.from(bytes)
  corrupted[corruptAt - at] = (corrupted[corruptAt - at] ?? 0) ^ 1
  return corrupted
}

/** Resolves when the bytes are flushed; false when the client closed the connection before. */
function write(response: ServerResponse, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const onClose = (): void => resolve(false)
    response.once('close', onClose)
    response.write(bytes, (error) => {
      response.off('close', onClose)
      resolve(error === undefined || error === null)
    })
  })
}

function breakOff({ socket }: ServerResponse, { how }: Fault): void {
  if (how === 'rst') socket?.resetAndDestroy()
  else socket?.destroy()
}
