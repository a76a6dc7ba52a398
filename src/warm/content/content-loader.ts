import { readManifestBody, waitUntilVerified } from '../../fetch/manifests/manifest-body.ts'
import { Semaphore } from '../../lib/async/semaphore.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { ManifestAnswer } from '../../ports/resolver.ts'
import { FlightEnds } from './flight-ends.ts'
import type { Patience } from './patience.ts'
import type { WarmTarget } from './warm-target.ts'

/** More blobs at once are not faster, and registries limit requests. */
const BLOBS_AT_ONCE = 6
const MANIFESTS_AT_ONCE = 8
const EVICTED = 'it was evicted as soon as it was stored'

interface Options {
  readonly signal: AbortSignal
  readonly patience: Patience
}

/**
 * Makes the node store single manifests and blobs. It joins the node's own flights, so that each digest has one flight
 * whoever wants it, and a flight goes on if this loader stops waiting. Methods throw `Failure`s.
 */
export class ContentLoader {
  readonly #target: WarmTarget
  readonly #blobs = new Semaphore(BLOBS_AT_ONCE)
  readonly #manifests = new Semaphore(MANIFESTS_AT_ONCE)

  constructor(target: WarmTarget) {
    this.#target = target
  }

  /** Makes a small request, such as that for a list of referrers, under the limit for manifests. */
  request<Answer>(work: () => Promise<Answer>, { signal, patience }: Options): Promise<Answer> {
    return this.#manifests.use(signal, () => patience.retry(work, signal))
  }

  manifest(
    repository: Repository,
    reference: Digest | { tag: string },
    options: Options,
  ): Promise<Omit<ManifestAnswer, 'body'> & { readonly bytes: Uint8Array }> {
    const { resolver } = this.#target
    return this.request(async () => {
      const answer = await (typeof reference === 'string'
        ? resolver.manifestByDigest(repository, reference, options)
        : resolver.manifestByTag(repository, reference.tag, options))
      const bytes = await readManifestBody(answer, options)
      await this.#waitUntilManifestStored(repository, answer.digest, options)
      return { ...answer, bytes }
    }, options)
  }

  /** Calls `onStart` when the blob has its turn. Resolves with whether the blob was stored before. */
  blob(repository: Repository, digest: Digest, onStart: () => void, options: Options): Promise<boolean> {
    const { signal, patience } = options
    return this.#blobs.use(signal, () => {
      onStart()
      return patience.retry(async () => {
        const flightEnds = new FlightEnds(digest)
        try {
          const { content, cacheResult } = await this.#target.resolver.blob(repository, digest, options)
          // The flight needs no reader. Without one, a flight that cannot be stored ends instead of passing through.
          await content.close()
          if (cacheResult.kind === 'hit') return true
          await this.#waitUntilStored(digest, flightEnds, signal)
          return false
        } finally {
          flightEnds.close()
        }
      }, signal)
    })
  }

  /** The answer may come before the manifest is stored, or from memory although the manifest could not be stored. */
  async #waitUntilManifestStored(repository: Repository, digest: Digest, options: Options): Promise<void> {
    const flightEnds = new FlightEnds(digest)
    try {
      while (this.#target.flight(digest) !== undefined) await flightEnds.next(options.signal)
      if ((await this.#target.stored(digest)) !== undefined) return
      this.#target.forget(digest)
      const again = await this.#target.resolver.manifestByDigest(repository, digest, options)
      const { cacheResult } = await waitUntilVerified(again, options)
      if (cacheResult.kind !== 'hit') await this.#waitUntilStored(digest, flightEnds, options.signal)
      else if ((await this.#target.stored(digest)) === undefined) throw new Failure('disk', EVICTED)
    } finally {
      flightEnds.close()
    }
  }

  /** The caller must have made `flightEnds` before it joined the flight. */
  async #waitUntilStored(digest: Digest, flightEnds: FlightEnds, signal: AbortSignal): Promise<void> {
    do await flightEnds.next(signal)
    while (this.#target.flight(digest) !== undefined)
    if ((await this.#target.stored(digest)) !== undefined) return
    const { error, passThroughReason } = flightEnds.last ?? {}
    if (error instanceof Failure && passThroughReason === undefined) throw error
    throw new Failure('disk', passThroughReason ?? EVICTED, { cause: error })
  }
}
