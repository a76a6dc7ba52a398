import * as v from 'valibot'
import { jsonObject } from '../../lib/json.ts'
import type { Descriptor, Platform } from '../../oci/manifest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { platformText, selectForPlatform } from '../../oci/platform.ts'
import type { Resolver } from '../../ports/resolver.ts'

const CONFIG_TYPES: ReadonlySet<string | undefined> = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
])
const MAX_CONFIG_BYTES = 4 * 1024 * 1024
const ConfigShape = v.object({
  os: v.string(),
  architecture: v.string(),
  variant: v.optional(v.string()),
})

/** The platform in the config of an image, if the image does not fit all of `platforms`. The config must be stored. */
export async function platformMismatch(
  resolver: Resolver,
  repository: Repository,
  { digest, mediaType, size }: Descriptor,
  platforms: readonly Platform[],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!CONFIG_TYPES.has(mediaType) || size > MAX_CONFIG_BYTES) return undefined
  const { content } = await resolver.blob(repository, digest, { signal })
  try {
    if (content.size > MAX_CONFIG_BYTES) return undefined
    const bytes = new Uint8Array(content.size)
    let filled = 0
    while (filled < bytes.length) {
      const readable = await content.readable(filled, { signal })
      const length = await content.read(bytes.subarray(filled, readable), filled)
      if (length === 0) return undefined
      filled += length
    }
    const config = v.safeParse(ConfigShape, jsonObject(bytes))
    if (!config.success) return undefined
    const { os, architecture, variant } = config.output
    const platform: Platform = { os, architecture, variant }
    const fits = platforms.every((requested) => selectForPlatform([{ platform }], requested).length > 0)
    return fits ? undefined : platformText(platform)
  } finally {
    await content.close()
  }
}
