const PATIENCE_MS = 20_000

/**
 * What the agent answers. Throws a sentence when it refuses or there is no answer.
 *
 * @param {string} path
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {Promise<unknown>}
 */
export async function ask(path, { signal } = {}) {
  return await (await answer(path, signal)).json()
}

/**
 * The values of an answer that has one on each line, as they come in.
 *
 * @param {string} path
 * @param {{ signal: AbortSignal }} options
 * @returns {AsyncGenerator<unknown>}
 */
export async function* askLines(path, { signal }) {
  const { body } = await answer(path, signal)
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
async function answer(path, signal) {
  const late = AbortSignal.timeout(PATIENCE_MS)
  const response = await fetch(path, {
    signal: signal === undefined ? late : AbortSignal.any([signal, late]),
  })
  if (response.ok) return response
  const told = await response.json().catch(() => undefined)
  throw new Error(typeof told?.error === 'string' ? told.error : `the agent answered ${response.status}`)
}
