import type { IncomingMessage } from 'node:http'
import * as v from 'valibot'
import { onAbort } from '../lib/async/abort.ts'
import { type Parsed, parsed, refused } from '../lib/parsed.ts'

/** A thousand references fit. */
export const LARGEST_BODY = 256 * 1024

/** undefined: more than anybody needs. Rejects when it breaks off or takes too long. */
export async function readBody(
  request: IncomingMessage,
  { signal }: { signal: AbortSignal },
): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > LARGEST_BODY) return undefined
  const parts: Buffer[] = []
  let length = 0
  const stop = onAbort(signal, () => request.destroy())
  try {
    signal.throwIfAborted()
    for await (const part of request.iterator({ destroyOnReturn: false })) {
      parts.push(part)
      length += part.length
      if (length > LARGEST_BODY) return undefined
    }
    return Buffer.concat(parts)
  } finally {
    stop()
  }
}

/** Nothing at all stands for `{}`. */
export function parseBody<Schema extends v.GenericSchema>(
  body: Buffer,
  schema: Schema,
): Parsed<v.InferOutput<Schema>> {
  let value: unknown
  try {
    value = body.length === 0 ? {} : JSON.parse(body.toString('utf8'))
  } catch {
    return refused('the body is not JSON')
  }
  // To valibot a list is an object too.
  if (Array.isArray(value)) return refused('the body is a list; an object is expected')
  const result = v.safeParse(schema, value)
  if (result.success) return parsed(result.output)
  const [issue] = result.issues
  return refused(`the body is not what is expected at ${v.getDotPath(issue) ?? 'its top'}: ${issue.message}`)
}
