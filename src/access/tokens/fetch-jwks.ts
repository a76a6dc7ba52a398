import { readFile } from 'node:fs/promises'
import { get } from 'node:https'
import { rootCertificates } from 'node:tls'

const DEADLINE_MS = 5000
const LIMIT_BYTES = 256 * 1024

/** Fetches the keys of a token service. Follows no redirects. */
export async function fetchJwks(
  url: string,
  { caFile, deadlineMs = DEADLINE_MS }: { caFile?: string | undefined; deadlineMs?: number } = {},
): Promise<string> {
  const ca = caFile === undefined ? undefined : [...rootCertificates, await readFile(caFile, 'utf8')]
  const signal = AbortSignal.timeout(deadlineMs)
  return new Promise((resolve, reject) => {
    const options = { signal, agent: false, headers: { accept: 'application/json' } }
    const request = get(url, ca === undefined ? options : { ...options, ca }, (response) => {
      if (response.statusCode !== 200) {
        reject(new Error(`${url} answers ${response.statusCode}`))
        response.destroy()
        return
      }
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        chunks.push(chunk)
        if (length > LIMIT_BYTES) response.destroy(new Error(`${url} sends more than ${LIMIT_BYTES} bytes`))
      })
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
      response.on('error', reject)
    })
    request.on('error', (error: NodeJS.ErrnoException) => {
      const reason = signal.aborted ? `does not answer within ${deadlineMs} ms` : error.message
      reject(new Error(`${url}: ${reason}`))
    })
  })
}
