import type { Digest } from '../../oci/digest.ts'
import { type Descriptor, type Manifest, parseManifest } from '../../oci/manifest.ts'
import { referenceText } from '../../oci/names/reference.ts'
import { platformText } from '../../oci/platform.ts'
import { Bringers } from './bringers.ts'
import { choose } from './choice.ts'
import type { Fetching } from './fetching.ts'
import type { Order, Wanted } from './order.ts'
import type { Place } from './place.ts'
import { checkPlatform } from './platform-check.ts'
import { listReferrers } from './referrers.ts'
import { Shortfall } from './shortfall.ts'
import type { Tally } from './tally.ts'

/** An index may hold indexes, and what refers to an image may be referred to; what goes on deeper is no image. */
const DEEPEST = 4
/** Of one image. */
const MOST_MANIFESTS = 2000

/** What an image consists of, as far as it is wanted. */
export interface Found {
  readonly digest: Digest
  /** Upstream could not be asked what the tag means. */
  readonly stale: boolean
  /** All of its parts; what is no manifest need not be here yet. */
  readonly parts: ReadonlySet<Digest>
  readonly blobs: ReadonlyMap<Digest, Descriptor>
  /** What refers to it, each of which a pin keeps by itself. */
  readonly referrers: readonly Digest[]
  /** Layers that no registry has. */
  readonly foreign: number
}

interface Step {
  readonly digest: Digest
  readonly depth: number
  readonly wanted: Wanted
  /** What refers to it is wanted too. */
  readonly isSubject: boolean
}

/** Goes through one image, manifest by manifest, and has each of them here. Throws a `Shortfall` or a `Failure`. */
export class Walk {
  readonly parts = new Set<Digest>()
  readonly #place: Place
  readonly #fetching: Fetching
  readonly #tally: Tally
  readonly #order: Order
  readonly #signal: AbortSignal
  readonly #blobs = new Map<Digest, Descriptor>()
  readonly #referrers = new Set<Digest>()
  readonly #manifests = new Set<Digest>()
  #foreign = 0

  constructor(
    place: Place,
    fetching: Fetching,
    { tally, order, signal }: { tally: Tally; order: Order; signal: AbortSignal },
  ) {
    this.#place = place
    this.#fetching = fetching
    this.#tally = tally
    this.#order = order
    this.#signal = signal
  }

  async run(): Promise<Found> {
    const { wanted, referrers } = this.#order
    const { digest, stale } = await this.#resolve()
    await this.#follow({ digest, depth: 0, wanted, isSubject: referrers })
    return {
      digest,
      stale,
      parts: this.parts,
      blobs: this.#blobs,
      referrers: [...this.#referrers],
      foreign: this.#foreign,
    }
  }

  /** What the reference means now. */
  async #resolve(): Promise<{ digest: Digest; stale: boolean }> {
    const { repository, tag, digest: written } = this.#order.reference
    if (written !== undefined || tag === undefined) {
      if (written === undefined) throw new Error('a reference has a tag or a digest')
      return { digest: written, stale: false }
    }
    const before = await this.#place.tag(repository, tag)
    const wasHere = before !== undefined && (await this.#place.stored(before.digest)) !== undefined
    const bringers = new Bringers()
    const { digest, bytes, cacheResult } = await this.#fetching
      .manifest(repository, { tag }, { signal: this.#signal })
      .finally(() => bringers.close())
    this.#add(digest, bytes.length)
    const isSame = wasHere && before.digest === digest
    // Without a transfer it came along with upstream's answer about the tag.
    if (!isSame) this.#tally.brought(digest, bringers.of(digest) ?? 'upstream')
    this.#tally.here(digest, { wasHere: isSame })
    return { digest, stale: cacheResult.kind === 'stale-if-error' }
  }

  async #follow(step: Step): Promise<void> {
    const { digest, depth, wanted, isSubject } = step
    if (this.#manifests.has(digest)) return
    this.#manifests.add(digest)
    if (depth > DEEPEST || this.#manifests.size > MOST_MANIFESTS) {
      throw this.#shortfall(`has more manifests in it, or deeper ones, than an image can have`)
    }
    const manifest = await this.#manifest(digest)
    const followed = isSubject ? this.#followReferrers(digest, depth) : undefined
    const inner =
      manifest.kind === 'index' ? this.#followIndex(manifest, step) : this.#image(manifest, depth, wanted)
    await all([inner, followed])
  }

  async #manifest(digest: Digest): Promise<Manifest> {
    const { repository } = this.#order.reference
    const wasHere = (await this.#place.stored(digest)) !== undefined
    const { bytes, mediaType } = await this.#fetching.manifest(repository, digest, { signal: this.#signal })
    this.#add(digest, bytes.length)
    this.#tally.here(digest, { wasHere })
    const manifest = parseManifest(bytes, mediaType)
    if (!manifest.ok) throw this.#shortfall(`has a manifest that cannot be read: ${manifest.problem}`)
    return manifest.value
  }

  async #followIndex(index: Manifest, { depth, wanted, isSubject }: Step): Promise<void> {
    const { taken, attestations, missing } = choose(index.manifests, wanted)
    if (missing.length > 0) {
      const there = index.manifests.flatMap(({ platform }) =>
        platform === undefined ? [] : platformText(platform),
      )
      const offered = [...new Set(there)].filter((text) => !text.startsWith('unknown/'))
      throw this.#shortfall(
        `has nothing for ${missing.map(platformText).join(', ')}; it has ${offered.join(', ') || 'nothing for anybody'}`,
      )
    }
    const steps = taken.map(({ digest, size }) => {
      this.#add(digest, size)
      return this.#follow({ digest, depth: depth + 1, wanted, isSubject })
    })
    const wantedToo = isSubject ? attestations : []
    for (const { digest, size } of wantedToo) {
      this.#add(digest, size)
      steps.push(this.#follow({ digest, depth: depth + 1, wanted: 'all', isSubject: false }))
    }
    await all(steps)
  }

  /** A single manifest says in its config for which machine it is. */
  async #image({ config, layers }: Manifest, depth: number, wanted: Wanted): Promise<void> {
    if (config !== undefined) this.#need(config)
    for (const layer of layers) {
      if (layer.isForeign) this.#foreign += 1
      else this.#need(layer)
    }
    if (depth > 0 || wanted === 'all' || !wanted.isAsked || config === undefined) return
    await this.blob(config)
    const { repository } = this.#order.reference
    const found = await checkPlatform(
      this.#place.resolver,
      repository,
      config,
      wanted.platforms,
      this.#signal,
    )
    if (found !== undefined) {
      const missing = wanted.platforms.map(platformText).join(', ')
      throw this.#shortfall(`has nothing for ${missing}; it has ${found}`)
    }
  }

  async #followReferrers(subject: Digest, depth: number): Promise<void> {
    const { repository } = this.#order.reference
    const found = await listReferrers(this.#place.resolver, this.#fetching, repository, subject, this.#signal)
    await all(
      found.map(({ digest, size }) => {
        this.#add(digest, size)
        this.#referrers.add(digest)
        return this.#follow({ digest, depth: depth + 1, wanted: 'all', isSubject: depth + 1 < DEEPEST })
      }),
    )
  }

  /** Has this one here. */
  async blob({ digest }: Descriptor): Promise<void> {
    const { repository } = this.#order.reference
    const begin = (): void => this.#tally.begin(digest)
    const wasHere = await this.#fetching.blob(repository, digest, begin, { signal: this.#signal })
    this.#tally.here(digest, { wasHere })
  }

  #need(part: Descriptor): void {
    this.#blobs.set(part.digest, part)
    this.#add(part.digest, part.size)
  }

  #add(digest: Digest, size: number): void {
    this.parts.add(digest)
    this.#tally.add(digest, size)
  }

  #shortfall(what: string): Shortfall {
    return new Shortfall(`${referenceText(this.#order.reference)} ${what}`)
  }
}

/** All of them, or the first failure once the others have ended too: nothing goes on behind the back of whoever asked. */
async function all(steps: readonly (Promise<void> | undefined)[]): Promise<void> {
  for (const result of await Promise.allSettled(steps)) {
    if (result.status === 'rejected') throw result.reason
  }
}
