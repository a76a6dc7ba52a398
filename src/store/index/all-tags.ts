import { repositoryKey } from '../../oci/names/repository.ts'
import type { HostedTag } from '../../ports/hosted/hosted-catalog.ts'
import type { KnownTag } from './catalog.ts'

/** A tag of the cache, or of a hosted repository, as it is listed for people. */
export interface ListedTag extends KnownTag {
  /** A client has pushed the tag; `checkedAt` says when. */
  readonly isHosted?: true
}

/** Merges two lists of tags, each in order: by repository, and then by tag. */
export async function* allTags(
  cached: AsyncIterable<KnownTag>,
  hosted: AsyncIterable<HostedTag>,
): AsyncGenerator<ListedTag> {
  const pushed = hosted[Symbol.asyncIterator]()
  try {
    let next = await pushed.next()
    for await (const tag of cached) {
      while (next.done !== true && orderOf(next.value) < orderOf(tag)) {
        yield listed(next.value)
        next = await pushed.next()
      }
      yield tag
    }
    for (; next.done !== true; next = await pushed.next()) yield listed(next.value)
  } finally {
    await pushed.return?.()
  }
}

function listed({ repository, tag, digest, mediaType, pushedAt }: HostedTag): ListedTag {
  return { repository, tag, digest, mediaType, checkedAt: pushedAt, isHosted: true }
}

/** The character between the two is less than all characters of names and tags. */
function orderOf({ repository, tag }: Pick<KnownTag, 'repository' | 'tag'>): string {
  return `${repositoryKey(repository)}!${tag}`
}
