import { type IncomingMessage, request as plainly } from 'node:http'
import { request as overTls } from 'node:https'

const LARGEST_ANSWER = 4 * 1024 * 1024

export interface Seen {
  readonly status: number
  readonly text: string
  /** When the other has sent it, by its own clock; milliseconds since the epoch. */
  readonly date: number | undefined
}

/** Looks at what is served at one of the agent's own addresses, whatever certificate it has. */
export async function lookAt(url: URL, { signal }: { signal: AbortSignal }): Promise<Seen> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { agent: false as const, signal, headers: { accept: 'application/json' } }
    const asking =
      url.protocol === 'https:'
        ? overTls(url, { ...options, rejectUnauthorized: false }, resolve)
        : plainly(url, options, resolve)
    asking.on('error', reject)
    asking.end()
  })
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk
      if (text.length > LARGEST_ANSWER) throw new Error('an answer without an end')
    }
  } finally {
    response.destroy()
  }
  const date = Date.parse(response.headers.date ?? '')
  return { status: response.statusCode ?? 0, text, date: Number.isNaN(date) ? undefined : date }
}

/** Why there was no answer, in a word or two. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer'
  if (error.name === 'AbortError') return 'no answer in time'
  const { code } = error as { code?: unknown }
  if (code === 'ECONNREFUSED') return 'connection refused'
  return typeof code === 'string' ? code : error.message
}
