import type { IncomingMessage } from 'node:http'
import * as v from 'valibot'
import { onAbort } from '../lib/async/abort.ts'
import { type Parsed, parsed, refused } from '../lib/parsed.ts'
import { bodyProblem, nounOf } from './body-problem.ts'

/** The largest request body that is accepted: about a thousand image references fit. */
export const MAX_BODY_BYTES = 256 * 1024

/** Returns undefined when the body exceeds `MAX_BODY_BYTES`. Rejects when the request is cut off or aborted. */
export async function readRequestBody(
  request: IncomingMessage,
  { signal }: { signal: AbortSignal },
): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) return undefined
  const chunks: Buffer[] = []
  let length = 0
  const stopListening = onAbort(signal, () => request.destroy())
  try {
    signal.throwIfAborted()
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk)
      length += chunk.length
      if (length > MAX_BODY_BYTES) return undefined
    }
    return Buffer.concat(chunks)
  } finally {
    stopListening()
  }
}

/** The schema of a request body, which is an object. */
export type BodySchema = v.GenericSchema & { readonly entries: Readonly<Record<string, unknown>> }

/** An empty body is read as `{}`. `example`: a body that is right, for the sentence about one that is not. */
export function parseRequestBody<Schema extends BodySchema>(
  body: Buffer,
  schema: Schema,
  example: string,
): Parsed<v.InferOutput<Schema>> {
  let value: unknown
  try {
    value = body.length === 0 ? {} : JSON.parse(body.toString('utf8'))
  } catch {
    return refused(`the request body is not valid JSON; send an object such as ${example}`)
  }
  // Valibot accepts an array where an object is expected.
  if (Array.isArray(value))
    return refused(`the request body is ${nounOf(value)}; send an object such as ${example}`)
  const result = v.safeParse(schema, value)
  if (result.success) return parsed(result.output)
  const [issue] = result.issues
  return refused(bodyProblem(issue, Object.keys(schema.entries), example))
}
