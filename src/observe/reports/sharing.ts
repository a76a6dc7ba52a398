import { type Digest, hexOf } from '../../oci/digest.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import type { ContentView, TagView } from './view.ts'

type Tag = Pick<TagView, 'repository' | 'tag' | 'digest'>

/** An index, its manifests, their layers, and one more for indexes in indexes. */
const DEEPEST = 4
/** A list of so many things is not made for people, and is still made in bounded memory. */
const MOST = 500_000

/** These digests and all that they need, and what that needs, here or not. */
export async function withReferences(
  view: Pick<ContentView, 'references'>,
  roots: Iterable<Digest>,
  found = new Set<Digest>(),
): Promise<Set<Digest>> {
  let level = [...roots]
  for (let depth = 0; depth <= DEEPEST && level.length > 0; depth++) {
    const next: Digest[] = []
    for (const digest of level) {
      if (found.has(digest) || found.size >= MOST) continue
      found.add(digest)
      next.push(...(await view.references(digest)))
    }
    level = next
  }
  return found
}

/** Everything that is pinned, or needed by what is. */
export async function pinnedBy(view: Pick<ContentView, 'references' | 'pins'>): Promise<Set<Digest>> {
  const pinned = new Set<Digest>()
  for await (const { digest } of view.pins()) await withReferences(view, [digest], pinned)
  return pinned
}

export function tagText({ repository, tag }: Omit<Tag, 'digest'>): string {
  return `${repositoryKey(repository)}:${tag}`
}

/** Which images have which parts in common: what stands under several tags goes only with the last of them. */
export class Sharing {
  readonly #names: string[] = []
  /** Numbers of tags, by part; one number alone where there is only one. */
  readonly #tags = new Map<number, number | number[]>()

  static async of(view: Pick<ContentView, 'references'> & { tags(): AsyncIterable<Tag> }): Promise<Sharing> {
    const sharing = new Sharing()
    for await (const tag of view.tags()) {
      sharing.#add(tagText(tag), await withReferences(view, [tag.digest]))
    }
    return sharing
  }

  /** Images that have this part. */
  owners(part: Digest): readonly string[] {
    const found = this.#tags.get(keyOf(part))
    const numbers = found === undefined ? [] : typeof found === 'number' ? [found] : found
    return numbers.map((number) => this.#names[number] ?? '')
  }

  /** Whether another tag than this one has the part, and the first few that do. */
  of(part: Digest, tag: Omit<Tag, 'digest'>): { isShared: boolean; others: string[] } {
    const others = this.owners(part).filter((name) => name !== tagText(tag))
    return { isShared: others.length > 0, others }
  }

  #add(name: string, parts: Iterable<Digest>): void {
    const number = this.#names.push(name) - 1
    for (const part of parts) {
      const key = keyOf(part)
      const known = this.#tags.get(key)
      if (known === undefined) {
        if (this.#tags.size < MOST) this.#tags.set(key, number)
      } else if (typeof known === 'number') this.#tags.set(key, [known, number])
      // A few more than one is told of, so that one's own name among them does no harm.
      else if (known.length < 12) known.push(number)
    }
  }
}

/**
 * 48 bits of the digest: all of it would take several times the memory, and that two of 100,000 parts are taken for one
 * happens once in tens of thousands of nodes, to a list for people.
 */
function keyOf(digest: Digest): number {
  return Number.parseInt(hexOf(digest).slice(0, 12), 16)
}
