import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { type AdminAddress, addressText, localAddress } from './node-settings.ts'

const MAX_BODY_CHARACTERS = 4 * 1024 * 1024

export interface Answer {
  readonly status: number
  readonly text: string
  /** When the server sent the answer, by its own clock, in milliseconds since the epoch. */
  readonly date: number | undefined
}

interface GetOptions {
  readonly signal: AbortSignal
  readonly token?: string | undefined
  /** Default: every certificate is accepted. */
  readonly authorities?: readonly string[] | undefined
}

/** Requests one of the agent's own addresses. */
export async function get(url: URL, { signal, token, authorities }: GetOptions): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = {
      accept: 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    }
    const options = { agent: false as const, signal, headers }
    const trust = authorities === undefined ? { rejectUnauthorized: false } : { ca: [...authorities] }
    const request =
      url.protocol === 'https:'
        ? requestTls(url, { ...options, ...trust }, resolve)
        : requestPlain(url, options, resolve)
    request.on('error', reject)
    request.end()
  })
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk
      if (text.length > MAX_BODY_CHARACTERS) throw new Error('the answer is too large')
    }
  } finally {
    response.destroy()
  }
  const date = Date.parse(response.headers.date ?? '')
  return { status: response.statusCode ?? 0, text, date: Number.isNaN(date) ? undefined : date }
}

/** Requests what the agent says at its admin address. */
export function getAdmin(admin: AdminAddress, path: string, signal: AbortSignal): Promise<Answer> {
  const { token, authorities } = admin
  const scheme = authorities === undefined ? 'http' : 'https'
  return get(new URL(path, `${scheme}://${addressText(localAddress(admin))}`), { signal, token, authorities })
}

/** Why there was no answer, in a few words. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer'
  if (error.name === 'AbortError') return 'no answer in time'
  const { code } = error as { code?: unknown }
  if (code === 'ECONNREFUSED') return 'connection refused'
  return typeof code === 'string' ? code : error.message
}
