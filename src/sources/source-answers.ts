import { readContent } from '../fetch/manifests/manifest-body.ts'
import type { Content } from '../ports/content.ts'
import { Failure } from '../ports/failure.ts'
import type { CacheResult, HeadAnswer, ManifestAnswer } from '../ports/resolver.ts'

/** A larger manifest is sent from its file, as a blob is. */
const IN_MEMORY_BYTES = 64 * 1024

/** Answers with the head of a content, and closes it. */
export async function headOf(content: Content, cacheResult: CacheResult): Promise<HeadAnswer> {
  try {
    return { size: content.size, mediaType: content.mediaType, cacheResult }
  } finally {
    await content.close()
  }
}

/** Answers with a manifest: in memory, or with its content, which the client reads and closes. */
export async function manifestOf(
  content: Content,
  cacheResult: CacheResult,
  options: { readonly signal: AbortSignal },
): Promise<ManifestAnswer> {
  const { digest, size, mediaType } = content
  if (mediaType === undefined || size > IN_MEMORY_BYTES) {
    if (mediaType !== undefined) return { digest, mediaType, size, body: content, cacheResult }
    await content.close()
    throw new Failure('absent', `${digest} is not a manifest.`)
  }
  try {
    return { digest, mediaType, size, body: await readContent(content, options), cacheResult }
  } finally {
    await content.close()
  }
}
