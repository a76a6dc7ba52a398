import { withTicks } from '../lib/async/with-ticks.ts'
import { publish } from '../observe/events.ts'
import { tagText } from '../observe/reports/sharing.ts'
import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { RemovalLine } from '../schemas/upkeep-report.ts'
import { findPinsToRelease } from './pins.ts'
import { PROGRESS_INTERVAL_MS, type Totals } from './progress.ts'
import { planRemoval, type RemovalPlan } from './removal-plan.ts'
import { RequestError } from './request-error.ts'
import { notStoredError, type Tag, type UpkeepSubject } from './subject.ts'
import type { UpkeepStore } from './upkeep-store.ts'

/** Removes the subjects and what only they need. With `force` it also removes what is pinned, and the pins. */
export async function* remove(
  store: UpkeepStore,
  subjects: readonly UpkeepSubject[],
  { force, signal }: { force: boolean; signal: AbortSignal },
): AsyncGenerator<RemovalLine> {
  // A tag can be forgotten even if its manifest is no longer stored.
  for (const { subject, tag, isStored } of subjects) {
    if (tag === undefined && !isStored) throw notStoredError(subject)
  }
  await refuseHosted(store, subjects)
  const released = await findPinsToRelease(store, subjects, force)
  const tags = await findTagsToForget(store, subjects)
  const removed: Totals = { blobs: 0, bytes: 0 }
  const progress = (): RemovalLine => ({ is: 'progress', ...removed })
  yield progress()
  const planning = planRemoval(store, {
    images: subjects.filter(({ tag }) => tag !== undefined).map(({ digest }) => digest),
    named: subjects.filter(({ tag }) => tag === undefined).map(({ digest }) => digest),
    tags: new Set([...tags.values()].flat().map(tagText)),
    unpinned: released,
  })
  const executing = execute(store, planning, { released, tags, removed, signal })
  let retained: Totals = { blobs: 0, bytes: 0 }
  for await (const step of withTicks(executing, PROGRESS_INTERVAL_MS, progress)) {
    if ('is' in step) yield step
    else retained = step
  }
  yield {
    is: 'done',
    removed: subjects.map(({ subject, digest }) => ({
      subject,
      digest,
      tags: (tags.get(subject) ?? []).map(tagText),
    })),
    ...removed,
    keptBlobs: retained.blobs,
    keptBytes: retained.bytes,
  }
}

/** What belongs to a hosted repository stays stored, so removing it by its digest would do nothing. */
async function refuseHosted(store: UpkeepStore, subjects: readonly UpkeepSubject[]): Promise<void> {
  for (const { subject, digest, tag } of subjects) {
    if (tag !== undefined) continue
    const names = (await store.hosted.catalog.repositoriesOf(digest)).map(repositoryKey)
    if (names.length === 0) continue
    throw new RequestError(
      'conflict',
      `${subject} was pushed to ${names.join(', ')}: remove its tags by their names and run \`agent gc --hosted\`, or delete it there through the registry API`,
    )
  }
}

interface Execution {
  readonly released: ReadonlySet<Digest>
  readonly tags: ReadonlyMap<string, readonly Tag[]>
  /** Counts what the execution removes. */
  readonly removed: Totals
  readonly signal: AbortSignal
}

/** Gives at the end how much the plan retains. */
async function* execute(
  store: UpkeepStore,
  planning: Promise<RemovalPlan>,
  { released, tags, removed, signal }: Execution,
): AsyncGenerator<Totals> {
  const plan = await planning
  signal.throwIfAborted()
  for (const digest of released) await store.unpin(digest)
  for (const { repository, tag } of [...tags.values()].flat()) {
    if (await store.hosted.catalog.removeTag(repository, tag)) publishDeletion(repository, tag)
    else await store.catalog.forgetTag(repository, tag)
  }
  for (const digest of plan.removed) {
    signal.throwIfAborted()
    const facts = await store.blobs.facts(digest)
    if (facts === undefined || !(await store.remove(digest))) continue
    removed.blobs += 1
    removed.bytes += facts.size
  }
  const retained: Totals = { blobs: 0, bytes: 0 }
  for (const digest of plan.retained) {
    const facts = await store.blobs.facts(digest)
    if (facts === undefined) continue
    retained.blobs += 1
    retained.bytes += facts.size
  }
  yield retained
}

/** Gives the tags to forget with each subject: the tag that names it, or every tag of its digest. */
async function findTagsToForget(
  store: UpkeepStore,
  subjects: readonly UpkeepSubject[],
): Promise<Map<string, Tag[]>> {
  const tags = new Map<string, Tag[]>()
  const byDigest = new Map<Digest, string>()
  for (const { subject, digest, tag } of subjects) {
    if (tag === undefined) byDigest.set(digest, subject)
    tags.set(subject, tag === undefined ? [] : [tag])
  }
  if (byDigest.size === 0) return tags
  for await (const { repository, tag, digest } of store.tags()) {
    tags.get(byDigest.get(digest) ?? '')?.push({ repository, tag })
  }
  return tags
}

function publishDeletion(repository: Repository, tag: string): void {
  const unknown = { digest: undefined, mediaType: undefined, size: undefined, client: undefined }
  publish('hosted.deleted', { repository, kind: 'tag', tags: [tag], ...unknown })
}
