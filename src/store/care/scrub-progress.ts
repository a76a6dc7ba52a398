import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import type { Database } from '../database/database.ts'

const KEY = 'scrub'
const StoredProgress = v.object({
  position: v.optional(v.string()),
  found: v.number(),
  lastRound: v.optional(v.object({ endedAt: v.number(), found: v.number() })),
})

/** How far a round of the scrub is, so that a restart continues it. */
export interface ScrubProgress {
  /** All blobs up to this digest have been checked; undefined at the start of a round. */
  readonly position: Digest | undefined
  /** How many rotted blobs this round has found. */
  readonly found: number
  /** The last complete round. `endedAt`: milliseconds since the epoch. */
  readonly lastRound: { readonly endedAt: number; readonly found: number } | undefined
}

export const NO_PROGRESS: ScrubProgress = { position: undefined, found: 0, lastRound: undefined }

export async function readProgress(database: Database): Promise<ScrubProgress> {
  const text: string | undefined = await database.get(KEY)
  const parsed = v.safeParse(StoredProgress, text === undefined ? undefined : parseJson(text))
  if (!parsed.success) return NO_PROGRESS
  const { position, found, lastRound } = parsed.output
  return { position: position === undefined ? undefined : parseDigest(position), found, lastRound }
}

/** Stores the progress without a sync: after a power cut a few blobs are checked twice. */
export async function writeProgress(database: Database, progress: ScrubProgress): Promise<void> {
  await database.put(KEY, JSON.stringify(progress))
}
