import { type Digest, hexOf } from '../../oci/digest.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import type { ContentView, TagView } from './view.ts'

type Tag = Pick<TagView, 'repository' | 'tag' | 'digest'>

/** An index, its manifests and their layers are 3 levels; one more is for an index within an index. */
const MAX_DEPTH = 4
/** Bounds the memory of a list; a node with more parts than this gets a list that is not complete. */
const MAX_PARTS = 500_000

/** A report names 10 tags that share a part; one more is the tag itself. */
const MAX_TAGS_OF_PART = 12

/** Finds these digests and everything that they refer to, directly or not, whether it is stored or not. */
export async function withReferences(
  view: Pick<ContentView, 'references'>,
  roots: Iterable<Digest>,
  found = new Set<Digest>(),
): Promise<Set<Digest>> {
  let level = [...roots]
  for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth++) {
    const next: Digest[] = []
    for (const digest of level) {
      if (found.has(digest) || found.size >= MAX_PARTS) continue
      found.add(digest)
      next.push(...(await view.references(digest)))
    }
    level = next
  }
  return found
}

/** Finds every pinned digest, and everything that the pinned manifests refer to. */
export async function pinnedBy(view: Pick<ContentView, 'references' | 'pins'>): Promise<Set<Digest>> {
  const pinned = new Set<Digest>()
  for await (const { digest } of view.pins()) await withReferences(view, [digest], pinned)
  return pinned
}

export function tagText({ repository, tag }: Omit<Tag, 'digest'>): string {
  return `${repositoryKey(repository)}:${tag}`
}

/** Knows which tags refer to which parts: a part of several tags can be removed only with the last of them. */
export class SharedParts {
  readonly #names: string[] = []
  /** Indexes into `#names` by part. A single index is stored without an array, which saves most of the memory. */
  readonly #tags = new Map<number, number | number[]>()

  static async of(
    view: Pick<ContentView, 'references'> & { tags(): AsyncIterable<Tag> },
  ): Promise<SharedParts> {
    const sharing = new SharedParts()
    for await (const tag of view.tags()) {
      sharing.#add(tagText(tag), await withReferences(view, [tag.digest]))
    }
    return sharing
  }

  /** Gives the names of the tags that refer to this part. */
  tagsWith(part: Digest): readonly string[] {
    const found = this.#tags.get(keyOf(part))
    const numbers = found === undefined ? [] : typeof found === 'number' ? [found] : found
    return numbers.map((number) => this.#names[number] ?? '')
  }

  /** Gives whether other tags refer to the part too, and the first few of them. */
  othersWith(part: Digest, tag: Omit<Tag, 'digest'>): { isShared: boolean; others: string[] } {
    const others = this.tagsWith(part).filter((name) => name !== tagText(tag))
    return { isShared: others.length > 0, others }
  }

  #add(name: string, parts: Iterable<Digest>): void {
    const number = this.#names.push(name) - 1
    for (const part of parts) {
      const key = keyOf(part)
      const known = this.#tags.get(key)
      if (known === undefined) {
        if (this.#tags.size < MAX_PARTS) this.#tags.set(key, number)
      } else if (typeof known === 'number') this.#tags.set(key, [known, number])
      else if (known.length < MAX_TAGS_OF_PART) known.push(number)
    }
  }
}

/**
 * 48 bits of the digest. Whole digests would take several times the memory, and among 100,000 parts two have the same
 * key once in tens of thousands of nodes, which only makes a list for people slightly wrong.
 */
function keyOf(digest: Digest): number {
  return Number.parseInt(hexOf(digest).slice(0, 12), 16)
}
