import { Agent, type IncomingHttpHeaders, request } from 'node:http'

/** What a client has got, however it ended. */
export interface Got {
  /** 0: no answer at all. */
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The body ended as declared. */
  readonly complete: boolean
}

export interface Asking {
  readonly method?: 'GET' | 'HEAD'
  readonly headers?: Readonly<Record<string, string>>
  /** The client goes away after so many bytes of the body. */
  readonly leaveAfter?: number | undefined
  /** Told of every piece of the body. */
  readonly onBytes?: (length: number) => void
}

/** An answer that does not come for so long is no answer: nothing may hang. */
const PATIENCE_MS = 120_000
const connections = new Agent({ keepAlive: true, maxFreeSockets: 64 })

/** Asks for it as a runtime does. Never throws: agents die here. */
export function pull(address: string, path: string, asking: Asking = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, leaveAfter = Number.POSITIVE_INFINITY, onBytes } = asking
    const late = setTimeout(() => {
      sent.destroy()
      reject(new Error(`${method} ${path} hung for ${PATIENCE_MS / 1000} s`))
    }, PATIENCE_MS)
    const end = (got: Got): void => {
      clearTimeout(late)
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
