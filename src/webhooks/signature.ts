import { createHmac } from 'node:crypto'
import { FileProblem } from '../lib/watched-file.ts'

/** A shorter secret could be guessed from one signed request. */
const LEAST_SECRET_BYTES = 16
const PREFIX = 'whsec_'

/**
 * Reads the secrets of a file, one a line. As in Standard Webhooks, `whsec_` and base64 stand for the decoded bytes; any
 * other line is the secret itself.
 */
export function parseSecrets(text: string, path: string): readonly Uint8Array[] {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  if (lines.length === 0 || lines.length > 2)
    throw new FileProblem(
      path,
      `${path} has ${lines.length} lines; expected the secret and perhaps the former one`,
    )
  return lines.map((line, at) => {
    const secret = line.startsWith(PREFIX)
      ? Buffer.from(line.slice(PREFIX.length), 'base64')
      : Buffer.from(line)
    if (secret.length < LEAST_SECRET_BYTES) {
      throw new FileProblem(
        path,
        `line ${at + 1} of ${path} is no secret of ${LEAST_SECRET_BYTES} bytes or more; write one with: openssl rand -hex 32`,
      )
    }
    return secret
  })
}

/** The headers of Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
export function webhookHeaders(
  { id, body, atMs }: { readonly id: string; readonly body: string; readonly atMs: number },
  secrets: readonly Uint8Array[],
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(atMs / 1000))
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp }
  if (secrets.length === 0) return headers
  const signatures = secrets.map(
    (secret) => `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  )
  return { ...headers, 'webhook-signature': signatures.join(' ') }
}
