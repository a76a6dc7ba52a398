import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import type { Database } from '../index/database.ts'

const KEY = 'scrub'
const StoredProgress = v.object({
  position: v.optional(v.string()),
  found: v.number(),
  lastRound: v.optional(v.object({ endedAt: v.number(), found: v.number() })),
})

/** How far the look at everything that is stored has come, so that a restart does not begin it anew. */
export interface ScrubProgress {
  /** Everything up to this digest has been looked at; undefined at the start of a round. */
  readonly position: Digest | undefined
  /** So many were rotten, in this round. */
  readonly found: number
  /** The last time that everything was looked at; milliseconds since the epoch. */
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

/** Not synced: what a power cut takes is only looked at twice. */
export async function writeProgress(database: Database, progress: ScrubProgress): Promise<void> {
  await database.put(KEY, JSON.stringify(progress))
}
