import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'

/** A pin as the index has it. */
export interface PinRecord {
  /** When the pin was set, in milliseconds since the epoch. */
  readonly at: number
  /** The names by which it was set, such as `docker.io/library/alpine:3`. */
  readonly names: readonly string[]
  /** It was set by the digest itself. */
  readonly byDigest: boolean
}

/** Each name is one that a person or the settings have written; more of them on one digest are a mistake. */
const MOST_NAMES = 1000

const StoredRecord = v.object({ at: v.number(), names: v.array(v.string()), byDigest: v.boolean() })

export function decodePin(text: string): PinRecord {
  const parsed = v.safeParse(StoredRecord, parseJson(text))
  // Whatever else the entry is, it pins the digest.
  return parsed.success ? parsed.output : { at: Number(text) || 0, names: [], byDigest: true }
}

/** Gives the record with one more name, or set by the digest; undefined when nothing changes. */
export function withName(record: PinRecord | undefined, name: string | undefined): PinRecord | undefined {
  const { at, names, byDigest } = record ?? { at: Date.now(), names: [], byDigest: false }
  if (name === undefined) return byDigest ? undefined : { at, names, byDigest: true }
  if (names.includes(name) || names.length >= MOST_NAMES) return undefined
  return { at, names: [...names, name], byDigest }
}

/** Gives the record without the name; undefined when no name is left. Without a name, nothing is left. */
export function withoutName(record: PinRecord, name: string | undefined): PinRecord | undefined {
  const names = record.names.filter((one) => one !== name)
  return name === undefined || (names.length === 0 && !record.byDigest) ? undefined : { ...record, names }
}
