import { type Dispatcher, request } from 'undici'
import { authoritiesWith } from '../lib/authorities.ts'
import { errorCode } from '../lib/error-code.ts'
import { createDispatcher, type Proxies } from '../lib/undici/dispatcher.ts'
import { type FileProblem, WatchedFile } from '../lib/watched-file.ts'
import { CLOUD_EVENT_MEDIA_TYPE, cloudEventBody } from './cloud-event.ts'
import { DISTRIBUTION_MEDIA_TYPE, distributionEventBody } from './distribution-event.ts'
import { parseHeaderLines } from './header-lines.ts'
import type { ImageEvent } from './image-event.ts'
import type { WebhookOptions } from './options.ts'
import { parseSecrets, webhookHeaders } from './signature.ts'

/** What came of one attempt to send an event. `problem` names no part of the URL. */
export type SendResult =
  | { readonly kind: 'delivered' }
  /** Another attempt would end in the same way. */
  | { readonly kind: 'refused'; readonly problem: string }
  | { readonly kind: 'failed'; readonly problem: string; readonly retryAfterMs: number | undefined }

const FORMATS = {
  cloudevents: { mediaType: CLOUD_EVENT_MEDIA_TYPE, bodyOf: cloudEventBody },
  distribution: { mediaType: DISTRIBUTION_MEDIA_TYPE, bodyOf: distributionEventBody },
} as const
/** An answer needs no body; a longer one closes the connection. */
const MOST_ANSWER_BYTES = 64 * 1024
const NONE: readonly Uint8Array[] = []

export interface WebhookClientOptions {
  readonly webhook: WebhookOptions
  /** How CloudEvents and notifications name this node. */
  readonly node: string
  readonly userAgent: string
  readonly proxies: Proxies | undefined
  /** How long one attempt may take, from the connection to the end of the answer. */
  readonly deadlineMs: number
  readonly onProblem: (file: string, problem: FileProblem | undefined) => void
}

/** Sends events to one webhook. Redirects are not followed. The files are read again when they change. */
export class WebhookClient {
  readonly #options: WebhookClientOptions
  readonly #secrets: WatchedFile<readonly Uint8Array[]> | undefined
  readonly #headers: WatchedFile<Readonly<Record<string, string>>> | undefined
  readonly #authorities: WatchedFile<string[]> | undefined
  #dispatcher: Dispatcher | undefined

  constructor(options: WebhookClientOptions) {
    const { secretFile, headersFile, caFile } = options.webhook
    this.#options = options
    this.#secrets = this.#watch(secretFile, parseSecrets)
    this.#headers = this.#watch(headersFile, parseHeaderLines)
    this.#authorities = this.#watch(caFile, authoritiesWith)
  }

  /** Reads the files. Rejects with a `FileProblem` if one cannot be used. */
  async open(): Promise<void> {
    await Promise.all([this.#secrets?.read(), this.#headers?.read()])
    const authorities = await this.#authorities?.read()
    this.#dispatcher = dispatcherFor(authorities, this.#options)
  }

  async send(event: ImageEvent, { signal }: { signal: AbortSignal }): Promise<SendResult> {
    const { webhook, node, userAgent, deadlineMs } = this.#options
    const { mediaType, bodyOf } = FORMATS[webhook.format ?? 'cloudevents']
    const deadline = AbortSignal.timeout(deadlineMs)
    try {
      const body = bodyOf(event, node)
      const signed = webhookHeaders(
        { id: event.id, body, atMs: Date.now() },
        (await this.#secrets?.read()) ?? NONE,
      )
      const answer = await request(webhook.url, {
        method: 'POST',
        headers: {
          ...(await this.#headers?.read()),
          ...signed,
          'content-type': mediaType,
          'user-agent': userAgent,
        },
        body,
        signal: AbortSignal.any([signal, deadline]),
        ...(this.#dispatcher === undefined ? {} : { dispatcher: this.#dispatcher }),
      })
      await answer.body.dump({ limit: MOST_ANSWER_BYTES, signal: deadline }).catch(() => {})
      return resultOf(answer)
    } catch (error) {
      const problem = deadline.aborted ? `no answer within ${deadlineMs / 1000} s` : problemOf(error)
      return { kind: 'failed', problem, retryAfterMs: undefined }
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher?.destroy()
  }

  #watch<Value>(
    path: string | undefined,
    parse: (text: string, path: string) => Value,
  ): WatchedFile<Value> | undefined {
    if (path === undefined) return undefined
    return new WatchedFile(path, {
      parse: (text) => parse(text, path),
      onProblem: (problem) => this.#options.onProblem(path, problem),
    })
  }
}

function dispatcherFor(
  authorities: string[] | undefined,
  { proxies, deadlineMs }: WebhookClientOptions,
): Dispatcher {
  const tls = authorities === undefined ? {} : { ca: authorities }
  const settings = {
    connections: 1,
    headersTimeout: deadlineMs,
    bodyTimeout: deadlineMs,
    connect: { timeout: deadlineMs },
  }
  return createDispatcher(settings, { tls, proxies })
}

function resultOf({ statusCode, headers }: Dispatcher.ResponseData): SendResult {
  if (statusCode >= 200 && statusCode < 300) return { kind: 'delivered' }
  const problem = `it has answered ${statusCode}`
  if (statusCode >= 500 || statusCode === 408 || statusCode === 425 || statusCode === 429) {
    return { kind: 'failed', problem, retryAfterMs: retryAfterMs(headers['retry-after']) }
  }
  const isRedirect = statusCode >= 300 && statusCode < 400
  return { kind: 'refused', problem: isRedirect ? `${problem}, and redirects are not followed` : problem }
}

function retryAfterMs(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined
}

/** Gives the code of an error: its message could repeat the URL. */
function problemOf(error: unknown): string {
  return errorCode(error) ?? 'the request failed'
}
