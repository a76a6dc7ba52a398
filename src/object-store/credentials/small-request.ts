import { request } from 'undici'
import { errorCode } from '../../lib/error-code.ts'
import { CredentialProblem } from './credentials.ts'

/** A service on the same machine or in the same cloud answers in a moment, or is not there. */
const DEADLINE_MS = 5_000
const MAX_ANSWER_BYTES = 256 * 1024

export interface SmallRequest {
  readonly url: string
  readonly method?: 'GET' | 'PUT' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly deadlineMs?: number
}

/** Asks a service that gives credentials. Gives its status and its text; rejects with a `CredentialProblem` without an answer. */
export async function ask(
  what: string,
  { url, method = 'GET', headers = {}, body, deadlineMs = DEADLINE_MS }: SmallRequest,
  { signal }: { signal: AbortSignal },
): Promise<{ readonly status: number; readonly text: string }> {
  try {
    const answer = await request(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]),
    })
    let text = ''
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      text += chunk.toString('utf8')
      if (text.length > MAX_ANSWER_BYTES)
        throw new CredentialProblem(`${what} sends a longer answer than expected.`)
    }
    return { status: answer.statusCode, text }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof CredentialProblem) throw error
    throw new CredentialProblem(`${what} does not answer (${errorCode(error) ?? 'no answer in time'}).`, {
      cause: error,
    })
  }
}
