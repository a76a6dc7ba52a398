import { Agent, type IncomingHttpHeaders, request } from 'node:http'

/** What a client has received, however the request ended. */
export interface PullResult {
  /** 0 without an answer. */
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Whether the body ended as declared. */
  readonly complete: boolean
}

export interface PullOptions {
  readonly method?: 'GET' | 'HEAD'
  readonly headers?: Readonly<Record<string, string>>
  /** The client disconnects after so many bytes of the body. */
  readonly leaveAfter?: number | undefined
  /** Called with the length of every piece of the body. */
  readonly onBytes?: (length: number) => void
}

/** A request that takes longer hangs, and fails the test. */
const HANG_MS = 120_000
const connections = new Agent({ keepAlive: true, maxFreeSockets: 64 })

/** Requests the path as a container runtime does. A broken connection does not reject, because agents are killed meanwhile. */
export function pull(address: string, path: string, options: PullOptions = {}): Promise<PullResult> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, leaveAfter = Number.POSITIVE_INFINITY, onBytes } = options
    const deadline = setTimeout(() => {
      sent.destroy()
      reject(new Error(`${method} ${path} hung for ${HANG_MS / 1000} s`))
    }, HANG_MS)
    const end = (got: PullResult): void => {
      clearTimeout(deadline)
      resolve(got)
    }
    const url = new URL(path, `http://${address}`)
    const sent = request(url, { method, headers, agent: connections }, (response) => {
      const parts: Buffer[] = []
      let length = 0
      response.on('data', (part: Buffer) => {
        parts.push(part)
        length += part.length
        onBytes?.(part.length)
        if (length >= leaveAfter) response.destroy()
      })
      response.on('error', () => {})
      response.once('close', () => {
        const { statusCode = 0, headers: answered, complete } = response
        end({
          status: statusCode,
          headers: answered,
          body: Buffer.concat(parts),
          complete: complete && length < leaveAfter,
        })
      })
    })
    sent.once('error', () => end({ status: 0, headers: {}, body: Buffer.alloc(0), complete: false }))
    sent.end()
  })
}
