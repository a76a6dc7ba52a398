import type { Digest } from '../oci/digest.ts'
import type { PinsReport } from '../schemas/upkeep-report.ts'
import { RequestError } from './request-error.ts'
import { notStoredError, type UpkeepSubject } from './subject.ts'
import type { UpkeepStore } from './upkeep-store.ts'

/** Only stored content can be pinned. */
export async function pin(store: UpkeepStore, subjects: readonly UpkeepSubject[]): Promise<PinsReport> {
  for (const { subject, isStored } of subjects) if (!isStored) throw notStoredError(subject)
  return setPins(store, subjects, true)
}

/** A digest may be pinned before it is stored, so a pin is removed even if its content is not there. */
export async function unpin(store: UpkeepStore, subjects: readonly UpkeepSubject[]): Promise<PinsReport> {
  for (const { subject, digest, isStored } of subjects) {
    if (!isStored && !(await store.isPinned(digest))) throw notStoredError(subject)
  }
  return setPins(store, subjects, false)
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

async function setPins(
  store: UpkeepStore,
  subjects: readonly UpkeepSubject[],
  isPinned: boolean,
): Promise<PinsReport> {
  const pins: PinsReport['pins'] = []
  for (const { subject, digest } of subjects) {
    const changed = (await store.isPinned(digest)) !== isPinned
    if (changed) await (isPinned ? store.pin(digest) : store.unpin(digest))
    pins.push({ subject, digest, changed })
  }
  return { pins }
}
