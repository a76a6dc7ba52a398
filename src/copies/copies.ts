import { ResolverReader } from '../export/readers/resolver-reader.ts'
import { parseJson } from '../lib/json.ts'
import { Repeated } from '../lib/time/repeated.ts'
import { BucketCopy, type BucketCopyOptions } from '../object-store/copy.ts'
import { parsePlatforms } from '../oci/index-selection.ts'
import { parseReference, type Reference, referenceText } from '../oci/names/reference.ts'
import type { Repository } from '../oci/names/repository.ts'
import { repositoryFilter } from '../oci/names/repository-filter.ts'
import type { Resolver } from '../ports/resolver.ts'
import { BucketCopies, type CopiesState, keyOf } from './bucket-copies.ts'
import { type Notification, NotificationSecret } from './notifications/notification-secret.ts'
import { pushedImages } from './notifications/pushed-images.ts'
import type { CopyOptions } from './options/copy-options.ts'
import { PulledCopies } from './pulls/pulled-copies.ts'
import { ScheduledCopies } from './scheduled-copies.ts'

export type { CopiesState }

/** How often the schedules are looked at, and so how soon another member takes over. */
const CHECK_MS = 60_000
const JITTER_MS = 15_000
/** How often it is looked for images that nobody has pulled for long. */
const DROP_MS = 60 * 60_000

export interface CopiesContext extends Pick<BucketCopyOptions, 'userAgent' | 'proxies'> {
  readonly resolver: Resolver
  readonly defaultNamespace: string
  readonly zone: string | undefined
  readonly isAllowed: (repository: Repository) => boolean
  /** Whether this node does the work that belongs to a key. */
  readonly owns: (key: string) => boolean
  readonly checkMs?: number
}

/** What becomes of a notification. */
export type NotificationOutcome =
  | { readonly kind: 'accepted'; readonly images: readonly string[] }
  /** No copy takes notifications, or the sender does not know the secret of one that does. */
  | { readonly kind: 'not-taken' | 'wrong-secret' | 'full' }
  | { readonly kind: 'malformed'; readonly problem: string }

interface Target {
  readonly copies: BucketCopies
  readonly copy: BucketCopy
  readonly isNotified: (repository: Repository) => boolean
  readonly secret: NotificationSecret | undefined
  readonly pulled: PulledCopies | undefined
  readonly repeated: readonly Repeated[]
}

/** Copies images into buckets: at certain times, when registries say that they were pushed, and when they are pulled often. */
export class Copies {
  readonly #targets: readonly Target[]
  readonly #isAllowed: CopiesContext['isAllowed']
  readonly #stopping = new AbortController()

  /** Throws when an image or a platform cannot be read. */
  constructor(given: readonly CopyOptions[], context: CopiesContext) {
    this.#isAllowed = context.isAllowed
    this.#targets = given.map((options) => targetOf(options, context, this.#stopping.signal))
  }

  /** Rejects with a `FileProblem` when a file of a secret cannot be used. */
  async open(): Promise<void> {
    await Promise.all(this.#targets.map(({ secret }) => secret?.open()))
  }

  start(): void {
    for (const { pulled, repeated } of this.#targets) {
      pulled?.start()
      for (const each of repeated) each.start()
    }
  }

  states(): readonly CopiesState[] {
    return this.#targets.map(({ copies }) => copies.state)
  }

  /** Takes what a registry says. */
  async notify(notification: Notification): Promise<NotificationOutcome> {
    const taking = this.#targets.filter(({ secret }) => secret !== undefined)
    if (taking.length === 0) return { kind: 'not-taken' }
    const rights = await Promise.all(taking.map(({ secret }) => secret?.isKnownTo(notification)))
    const known = taking.filter((_, at) => rights[at])
    if (known.length === 0) return { kind: 'wrong-secret' }
    const images = pushedImages(parseJson(Buffer.from(notification.body).toString('utf8')))
    if (!images.ok) return { kind: 'malformed', problem: images.problem }
    const accepted = new Set<string>()
    for (const { copies, isNotified } of known) {
      for (const reference of images.value) {
        if (!isNotified(reference.repository) || !this.#isAllowed(reference.repository)) continue
        if (!copies.add(reference, 'notification')) return { kind: 'full' }
        accepted.add(referenceText(reference))
      }
    }
    return { kind: 'accepted', images: [...accepted] }
  }

  /** Resolves when nothing waits to be copied. */
  async idle(): Promise<void> {
    await Promise.all(this.#targets.map(({ copies }) => copies.idle()))
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const { copies, copy, pulled, repeated } of this.#targets) {
      await Promise.all([pulled?.stop(), copies.stop(), ...repeated.map((each) => each.stop())])
      await copy.close()
    }
  }
}

function targetOf(options: CopyOptions, context: CopiesContext, signal: AbortSignal): Target {
  const { to, platforms = [], schedule, notified, pulled, costPerGiB } = options
  const { userAgent, proxies, resolver, owns, zone, checkMs = CHECK_MS } = context
  const selection = parsePlatforms(platforms, 'all')
  if (!selection.ok) throw new Error(selection.problem)
  const copy = new BucketCopy(to, { userAgent, proxies, signal })
  const reader = new ResolverReader(resolver)
  const onGivenUp = (reference: Reference): void => ofPulls?.forget(reference)
  const copies = new BucketCopies({ copy, reader, selection: selection.value, costPerGiB, onGivenUp })
  const { records } = copy
  const images = (schedule?.images ?? []).map((image) => referenceIn(image, context.defaultNamespace))
  const scheduled = schedule && new ScheduledCopies({ schedule, images, copies, records, owns })
  const isNotified = repositoryFilter(notified?.names ?? [])
  const scheduledKeys = new Set(images.map(keyOf))
  const bucket = {
    name: copy.name,
    records,
    add: (reference: Reference) => copies.add(reference, 'pulls'),
    drop: (reference: Reference, image: string) => copies.drop(reference, image),
    report: (error: unknown) => copies.report('drop', error),
  }
  const isKept = (reference: Reference): boolean =>
    scheduledKeys.has(keyOf(reference)) || isNotified(reference.repository)
  const ofPulls = pulled && new PulledCopies({ pulled, zone, bucket, isKept, owns })
  const repeat = (everyMs: number, work: (options: { signal: AbortSignal }) => Promise<void>): Repeated =>
    new Repeated(work, { everyMs, jitterMs: Math.min(JITTER_MS, everyMs / 4) })
  return {
    copies,
    copy,
    isNotified,
    secret: notified === undefined ? undefined : new NotificationSecret(notified.secretFile),
    pulled: ofPulls,
    repeated: [
      ...(scheduled === undefined ? [] : [repeat(checkMs, (limits) => scheduled.check(limits))]),
      ...(ofPulls === undefined ? [] : [repeat(DROP_MS, (limits) => ofPulls.dropOld(limits))]),
    ],
  }
}

function referenceIn(image: string, defaultNamespace: string): Reference {
  const reference = parseReference(image, defaultNamespace)
  if (!reference.ok) throw new Error(reference.problem)
  return reference.value
}
