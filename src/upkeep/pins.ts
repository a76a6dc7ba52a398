import { tagText } from '../observe/reports/sharing.ts'
import type { Digest } from '../oci/digest.ts'
import type { PinsReport } from '../schemas/upkeep-report.ts'
import { RequestError } from './request-error.ts'
import { notStoredError, type UpkeepSubject } from './subject.ts'
import type { UpkeepStore } from './upkeep-store.ts'

/** Only stored content can be pinned. A pin belongs to the tag or the digest by which it is set. */
export async function pin(store: UpkeepStore, subjects: readonly UpkeepSubject[]): Promise<PinsReport> {
  for (const { subject, isStored } of subjects) if (!isStored) throw notStoredError(subject)
  const pins: PinsReport['pins'] = []
  for (const { subject, digest, tag } of subjects) {
    const name = tag && tagText(tag)
    const before = await namesOf(store, digest)
    await store.pin(digest, name)
    const changed = !before.includes(name ?? digest)
    pins.push({ subject, digest, changed, pinnedBy: [...(await namesOf(store, digest))] })
  }
  return { pins }
}

/**
 * A tag ends the pins that were set by it, also on a digest from which it has moved; a digest ends all its pins. A digest
 * may be pinned before it is stored, so a pin is removed even if its content is not there.
 */
export async function unpin(store: UpkeepStore, subjects: readonly UpkeepSubject[]): Promise<PinsReport> {
  for (const { subject, digest, isStored } of subjects) {
    if (!isStored && !(await store.isPinned(digest))) throw notStoredError(subject)
  }
  const pins: PinsReport['pins'] = []
  for (const { subject, digest, tag } of subjects) {
    const name = tag && tagText(tag)
    const digests = name === undefined ? [digest] : await digestsPinnedBy(store, name)
    const pinned = await Promise.all(digests.map((one) => store.isPinned(one)))
    for (const one of digests) await store.unpin(one, name)
    const changed = pinned.includes(true)
    pins.push({ subject, digest, changed, pinnedBy: [...(await namesOf(store, digest))] })
  }
  return { pins }
}

async function digestsPinnedBy(store: UpkeepStore, name: string): Promise<readonly Digest[]> {
  const found: Digest[] = []
  for await (const { digest, names } of store.pins()) if (names.includes(name)) found.push(digest)
  return found
}

/** By what a digest is pinned: tags, or itself; empty if it is not pinned. */
async function namesOf(store: UpkeepStore, digest: Digest): Promise<readonly string[]> {
  for await (const pin of store.pins()) if (pin.digest === digest) return pin.names
  return []
}

/** Gives the pins to release before a removal. Throws for a subject that is pinned, or needed by other pinned content. */
export async function findPinsToRelease(
  store: UpkeepStore,
  subjects: readonly UpkeepSubject[],
  force: boolean,
): Promise<ReadonlySet<Digest>> {
  const digests = new Set(subjects.map(({ digest }) => digest))
  const released = new Set<Digest>()
  for (const { subject, digest } of subjects) {
    const pins = await store.pinsOf(digest)
    const other = pins.find((pinned) => !digests.has(pinned))
    if (other !== undefined) {
      throw new RequestError(
        'conflict',
        `${subject} is needed by ${other}, which is pinned; unpin that first`,
      )
    }
    if (pins.length > 0 && !force) {
      throw new RequestError('conflict', `${subject} is pinned; unpin it first, or give --force`)
    }
    for (const pinned of pins) released.add(pinned)
  }
  return released
}
