import { readManifestBody, waitUntilVerified } from '../../fetch/manifests/manifest-body.ts'
import { pause } from '../../lib/async/abort.ts'
import { backoffMs } from '../../lib/async/backoff.ts'
import { Semaphore } from '../../lib/async/semaphore.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { ManifestAnswer } from '../../ports/resolver.ts'
import { Landing } from './landing.ts'
import type { Place } from './place.ts'

/** More blobs at once bring no more bytes, and take the registry's patience. */
const BLOBS = 6
const MANIFESTS = 8
/** How often, and how long at most, is waited for who asks to come back later. */
const TURNS = 4
const FIRST_PAUSE_MS = 2000
const LONGEST_PAUSE_MS = 30_000
const LET_GO = 'it was let go of as soon as it was here'

interface Options {
  readonly signal: AbortSignal
}

/**
 * Has single manifests and blobs here, stored and verified: by the node's own transfers, so that there is one for a digest
 * whoever else wants it, and it goes on when nobody here waits for it any more. Throws `Failure`s.
 */
export class Fetching {
  readonly #place: Place
  readonly #blobs = new Semaphore(BLOBS)
  readonly #manifests = new Semaphore(MANIFESTS)

  constructor(place: Place) {
    this.#place = place
  }

  /** Small questions, and not too many of them at once. */
  ask<Answer>(work: () => Promise<Answer>, { signal }: Options): Promise<Answer> {
    return this.#manifests.use(signal, () => patiently(work, signal))
  }

  manifest(
    repository: Repository,
    reference: Digest | { tag: string },
    options: Options,
  ): Promise<Omit<ManifestAnswer, 'body'> & { readonly bytes: Uint8Array }> {
    const { resolver } = this.#place
    return this.ask(async () => {
      const answer = await (typeof reference === 'string'
        ? resolver.manifestByDigest(repository, reference, options)
        : resolver.manifestByTag(repository, reference.tag, options))
      const bytes = await readManifestBody(answer, options)
      await this.#keep(repository, answer.digest, options)
      return { ...answer, bytes }
    }, options)
  }

  /** `onTurn` is called when it is its turn. Resolves with whether it was here before. */
  blob(repository: Repository, digest: Digest, onTurn: () => void, options: Options): Promise<boolean> {
    const { signal } = options
    return this.#blobs.use(signal, () => {
      onTurn()
      return patiently(async () => {
        const landing = new Landing(digest)
        try {
          const { content, cacheResult } = await this.#place.resolver.blob(repository, digest, options)
          // The transfer needs no reader. What cannot be kept ends without one, and is not brought here in vain.
          await content.close()
          if (cacheResult.kind === 'hit') return true
          await this.#landed(digest, landing, signal)
          return false
        } finally {
          landing.close()
        }
      }, signal)
    })
  }

  /** An answer may come before the manifest is stored, or out of memory when it could not be. */
  async #keep(repository: Repository, digest: Digest, options: Options): Promise<void> {
    const landing = new Landing(digest)
    try {
      while (this.#place.coming(digest) !== undefined) await landing.next(options.signal)
      if ((await this.#place.stored(digest)) !== undefined) return
      this.#place.forget(digest)
      const again = await this.#place.resolver.manifestByDigest(repository, digest, options)
      const { cacheResult } = await waitUntilVerified(again, options)
      if (cacheResult.kind !== 'hit') await this.#landed(digest, landing, options.signal)
      else if ((await this.#place.stored(digest)) === undefined) throw new Failure('disk', LET_GO)
    } finally {
      landing.close()
    }
  }

  /** `landing` was made before the transfer was joined. */
  async #landed(digest: Digest, landing: Landing, signal: AbortSignal): Promise<void> {
    do await landing.next(signal)
    while (this.#place.coming(digest) !== undefined)
    if ((await this.#place.stored(digest)) !== undefined) return
    const { error, passThroughReason } = landing.last ?? {}
    if (error instanceof Failure && passThroughReason === undefined) throw error
    throw new Failure('disk', passThroughReason ?? LET_GO, { cause: error })
  }
}

async function patiently<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
  for (let turn = 1; ; turn += 1) {
    try {
      return await work()
    } catch (error) {
      if (turn === TURNS || !(error instanceof Failure) || error.code !== 'busy') throw error
      const ms = error.details.retryAfterMs ?? backoffMs(turn, { firstMs: FIRST_PAUSE_MS })
      if (ms > LONGEST_PAUSE_MS) throw error
      await pause(ms * (1 + Math.random() / 4), { signal })
    }
  }
}
