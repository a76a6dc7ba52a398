import * as v from 'valibot'
import { jsonObject } from '../lib/json.ts'
import type { Descriptor, Platform } from '../oci/manifest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { ImageReader } from './readers/image-reader.ts'

const CONFIG_TYPES: ReadonlySet<string | undefined> = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
])
const MAX_CONFIG_BYTES = 4 * 1024 * 1024
const Config = v.object({ os: v.string(), architecture: v.string(), variant: v.optional(v.string()) })

/** The platform that the config of an image names; undefined: it is another artifact, or names none. */
export async function platformIn(
  reader: ImageReader,
  repository: Repository,
  config: Descriptor,
  signal: AbortSignal,
): Promise<Platform | undefined> {
  const { mediaType, size } = config
  if (!CONFIG_TYPES.has(mediaType) || size > MAX_CONFIG_BYTES) return undefined
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of reader.blob(repository, config, { signal })) {
    chunks.push(Uint8Array.from(chunk))
    length += chunk.length
    if (length > size) return undefined
  }
  const found = v.safeParse(Config, jsonObject(Buffer.concat(chunks)))
  if (!found.success) return undefined
  const { os, architecture, variant } = found.output
  return { os, architecture, variant }
}
