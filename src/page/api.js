import { askForToken, authorization } from './token.js'

const TIMEOUT_MS = 20_000

/** The agent wants a token. */
export class LoginNeeded extends Error {
  constructor() {
    super('Enter the token to see what this agent does.')
  }
}

/**
 * Fetches a JSON response of the admin API. Throws an error with a sentence for people when the agent refuses the
 * request or does not respond.
 *
 * @param {string} path
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {Promise<unknown>}
 */
export async function fetchJson(path, { signal } = {}) {
  return await (await fetchResponse(path, signal)).json()
}

/**
 * Fetches a response with one JSON value on each line, and yields the values as they arrive.
 *
 * @param {string} path
 * @param {{ signal: AbortSignal }} options
 * @returns {AsyncGenerator<unknown>}
 */
export async function* fetchJsonLines(path, { signal }) {
  const { body } = await fetchResponse(path, signal)
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
  if (reader === undefined) return
  let rest = ''
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const lines = (rest + next.value).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) yield JSON.parse(line)
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/**
 * @param {string} path
 * @param {AbortSignal | undefined} signal
 */
async function fetchResponse(path, signal) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS)
  const response = await fetch(path, {
    headers: authorization(),
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
  })
  if (response.ok) return response
  if (response.status === 401) {
    askForToken()
    throw new LoginNeeded()
  }
  const body = await response.json().catch(() => undefined)
  throw new Error(
    typeof body?.error === 'string' ? body.error : `the agent responded with ${response.status}`,
  )
}
