import { hostname } from 'node:os'
import { publish, subscribe } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import { isCheckRepository } from '../oci/names/check-repository.ts'
import type { Repository } from '../oci/names/repository.ts'
import { repositoryFilter } from '../oci/names/repository-filter.ts'
import type { Proxies } from '../upstream/options/options.ts'
import { deletesOf, type ImageEvent, pullOf, pushesOf } from './image-event.ts'
import { IMAGE_EVENT_KINDS, type ImageEventKind, type WebhookOptions } from './options.ts'
import { SEND_POLICY, type SendPolicy, SendQueue } from './send-queue.ts'
import { WebhookClient } from './webhook-client.ts'

/** At a stop, events are sent for no longer than this. */
const LONGEST_DRAIN_MS = 3000

export interface WebhooksContext {
  readonly version: string
  readonly proxies?: Proxies | undefined
  /** Notes that a client has used a manifest. False: one has used it before, since it was stored. */
  readonly markUsed: (digest: Digest) => Promise<boolean>
  readonly policy?: Partial<SendPolicy>
}

/** The state of one webhook, for reports. */
export interface WebhookState {
  readonly name: string
  readonly waiting: number
  readonly delivered: number
  readonly dropped: number
  /** Why the last attempt has failed; undefined when it has not. */
  readonly problem: string | undefined
}

interface Webhook {
  readonly name: string
  readonly wants: (kind: ImageEventKind, repository: Repository) => boolean
  readonly client: WebhookClient
  readonly queue: SendQueue
}

/** Tells URLs what happens to images. Whatever publishes the events never waits for a webhook. */
export class Webhooks {
  readonly #webhooks: readonly Webhook[]
  readonly #markUsed: WebhooksContext['markUsed']
  #subscriptions: readonly (() => void)[] = []

  constructor(given: readonly WebhookOptions[], context: WebhooksContext) {
    this.#markUsed = context.markUsed
    this.#webhooks = given.map((options, at) => {
      const { host } = new URL(options.url)
      const isOnly = given.filter(({ url }) => new URL(url).host === host).length === 1
      return webhookOf(options, isOnly ? host : `${host}#${at + 1}`, context)
    })
  }

  /** Rejects with a `FileProblem` if a file of a webhook cannot be used. */
  async open(): Promise<void> {
    await Promise.all(this.#webhooks.map(({ client }) => client.open()))
    if (this.#webhooks.length === 0) return
    this.#subscriptions = [
      subscribe('manifest.pulled', (event) => {
        if (isCheckRepository(event.repository)) return
        this.#tell(pullOf(event, 'pull'))
        const firstUse = pullOf(event, 'first-use')
        // What cannot be noted, as on a full disk, is not told either.
        if (this.#isWanted(firstUse)) void this.#tellIfFirst(firstUse, event.digest).catch(() => {})
      }),
      subscribe('hosted.pushed', (event) => {
        for (const push of pushesOf(event)) this.#tell(push)
      }),
      subscribe('hosted.deleted', (event) => {
        for (const deletion of deletesOf(event)) this.#tell(deletion)
      }),
    ]
  }

  states(): readonly WebhookState[] {
    return this.#webhooks.map(({ name, queue }) => ({ name, ...queue.state }))
  }

  async close({ drainMs }: { drainMs: number }): Promise<void> {
    for (const unsubscribe of this.#subscriptions) unsubscribe()
    const most = Math.min(drainMs, LONGEST_DRAIN_MS)
    await Promise.all(
      this.#webhooks.map(async ({ queue, client }) => {
        await queue.close({ drainMs: most })
        await client.close()
      }),
    )
  }

  #isWanted({ kind, repository }: ImageEvent): boolean {
    return this.#webhooks.some(({ wants }) => wants(kind, repository))
  }

  async #tellIfFirst(event: ImageEvent, digest: Digest): Promise<void> {
    if (await this.#markUsed(digest)) this.#tell(event)
  }

  #tell(event: ImageEvent): void {
    for (const { wants, queue } of this.#webhooks) if (wants(event.kind, event.repository)) queue.add(event)
  }
}

function webhookOf(options: WebhookOptions, name: string, context: WebhooksContext): Webhook {
  const { version, proxies } = context
  const policy = { ...SEND_POLICY, ...context.policy }
  const kinds: readonly ImageEventKind[] = options.events ?? IMAGE_EVENT_KINDS
  const isNamed = repositoryFilter(options.names)
  const client = new WebhookClient({
    webhook: options,
    node: hostname(),
    userAgent: `leat/${version}`,
    proxies,
    deadlineMs: policy.deadlineMs,
    onProblem: (file, problem) => publish('file.checked', { file, problem: problem?.message }),
  })
  return {
    name,
    // A notification of the distribution project has no action for the first use.
    wants: (kind, repository) =>
      kinds.includes(kind) &&
      !(kind === 'first-use' && options.format === 'distribution') &&
      isNamed(repository),
    client,
    queue: new SendQueue({ name, policy, send: (event, limits) => client.send(event, limits) }),
  }
}
