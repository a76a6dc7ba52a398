import * as v from 'valibot'
import { parseJson } from '../lib/json.ts'
import { type Digest, digestOf, parseDigest } from './digest.ts'
import { MAX_MANIFEST_BYTES } from './manifest.ts'

const byte = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255))
const CachedJson = v.object({ manifest: v.array(byte), digest: v.nullish(v.string()) })

/** A byte of the manifest is a number of up to three digits and a comma. */
export const MAX_CACHED_MANIFEST_BYTES = 4 * MAX_MANIFEST_BYTES + 64 * 1024

/** A manifest as oci-registry caches it. */
export interface CachedManifest {
  readonly bytes: Buffer
  /** The SHA-256 of the bytes. */
  readonly digest: Digest
  /** The digest that the cache names, which may be another one. */
  readonly declared: Digest | undefined
}

/** Reads the JSON of a cached manifest; undefined when the text is none. */
export function parseCachedManifest(text: string): CachedManifest | undefined {
  const parsed = v.safeParse(CachedJson, parseJson(text))
  if (!parsed.success) return undefined
  const bytes = Buffer.from(parsed.output.manifest)
  return { bytes, digest: digestOf(bytes), declared: parseDigest(parsed.output.digest ?? '') }
}
