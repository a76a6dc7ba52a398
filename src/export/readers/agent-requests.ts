import { type IncomingMessage, Agent as PlainAgent, request as requestPlain } from 'node:http'
import { request as requestTls, Agent as TlsAgent } from 'node:https'
import { errorCode } from '../../lib/error-code.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'

/** The agent waits up to 30 s for the first bytes of a content that it has to fetch. */
export const SILENCE_MS = 60_000
const MAX_ERROR_BYTES = 1024 * 1024

export interface AgentRequest {
  readonly path: string
  readonly repository: Repository
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** Requests to the registry API of an agent. */
export class AgentRequests {
  readonly #origin: URL
  readonly #connections: PlainAgent

  /** The certificate of the agent is not checked. */
  constructor(origin: URL) {
    this.#origin = origin
    this.#connections =
      origin.protocol === 'https:'
        ? new TlsAgent({ keepAlive: true, rejectUnauthorized: false })
        : new PlainAgent({ keepAlive: true })
  }

  urlOf({ path, repository }: Pick<AgentRequest, 'path' | 'repository'>): URL {
    const url = new URL(`/v2/${repository.name}/${path}`, this.#origin)
    url.searchParams.set('ns', repository.registry)
    return url
  }

  /** Rejects with a `Failure` unless the agent answers with content. */
  async get(asked: AgentRequest): Promise<IncomingMessage> {
    const response = await this.#send(this.urlOf(asked), asked.headers, asked.signal)
    const { statusCode = 0 } = response
    if (statusCode === 200 || statusCode === 206) return response
    throw await refusalOf(statusCode, response, asked.signal)
  }

  /** Reads a body that must be small. */
  async whole(response: IncomingMessage, most: number): Promise<Uint8Array> {
    try {
      return await joined(response, most)
    } finally {
      response.destroy()
    }
  }

  /** Whether a registry answers at this address by this protocol. */
  async answers(signal: AbortSignal): Promise<boolean> {
    try {
      const response = await this.#send(new URL('/v2/', this.#origin), {}, signal)
      response.destroy()
      // 401: the registry asks for a login, and may give images without one all the same.
      return response.statusCode === 200 || response.statusCode === 401
    } catch {
      signal.throwIfAborted()
      return false
    }
  }

  close(): void {
    this.#connections.destroy()
  }

  #send(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = url.protocol === 'https:' ? requestTls : requestPlain
      const outgoing = request(url, { agent: this.#connections, headers, signal }, resolve)
      outgoing.setTimeout(SILENCE_MS, () => outgoing.destroy(new Error(`no byte for ${SILENCE_MS / 1000} s`)))
      outgoing.on('error', (error) => reject(asFailure(error, signal)))
      outgoing.end()
    })
  }
}

export function asFailure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted || error instanceof Failure) return error
  const why = errorCode(error) ?? (error instanceof Error ? error.message : String(error))
  return new Failure('unavailable', `the agent cannot be read (${why})`, { cause: error })
}

/** Reads the body of an answer that is an error. */
export async function refusalOf(
  status: number,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    const code = status === 404 ? 'absent' : status < 500 ? 'denied' : 'unavailable'
    return new Failure(code, said((await joined(body, MAX_ERROR_BYTES)).toString('utf8'), status))
  } catch (error) {
    return asFailure(error, signal)
  }
}

async function joined(body: AsyncIterable<Uint8Array>, most: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > most) throw new Failure('too-large', `the agent sends more than ${most} bytes`)
    // A chunk may be filled again.
    chunks.push(Uint8Array.from(chunk))
  }
  return Buffer.concat(chunks)
}

/** What the first error of an answer says. */
function said(text: string, status: number): string {
  try {
    const { errors } = JSON.parse(text) as { errors?: readonly { message?: unknown }[] }
    const message = errors?.[0]?.message
    if (typeof message === 'string' && message !== '') return message
  } catch {
    // The body is no JSON; the status says enough.
  }
  return `the agent answers ${status}`
}
