import { pause, unlessAborted } from '../../lib/async/abort.ts'
import { backoffMs } from '../../lib/async/backoff.ts'
import { Deferred } from '../../lib/async/deferred.ts'
import { type NameRules, repositoryOf, splitTag } from '../../oci/names/name-rules.ts'
import { isTag } from '../../oci/names/names.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { DockerClient, ListedImage } from './docker-client.ts'

/** An image of Docker under one name. */
export interface NamedImage {
  /** As Docker calls it: `busybox:1.36`. */
  readonly reference: string
  readonly id: string
}

/** The images of Docker under one repository. */
interface NamedImages {
  readonly repository: Repository
  readonly byTag: ReadonlyMap<string, NamedImage>
}

const RETRY = { firstMs: 500, maxMs: 10_000, jitter: 0.2 }

/** The names of Docker's images: read at the start, and again after each event that the daemon reports. */
export class DockerIndex {
  readonly #client: DockerClient
  readonly #rules: NameRules
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #images: ReadonlyMap<string, NamedImages> = new Map()
  /** The reading that is under way, or the next one; rejects when the daemon is away. */
  #reading = newReading()
  #isCurrent = false
  /** Ends the pause before the next attempt to reach the daemon. */
  #retry = new AbortController()

  constructor(client: DockerClient, rules: NameRules) {
    this.#client = client
    this.#rules = rules
    this.#running = this.#follow()
  }

  /** The images under a repository, by tag. Rejects with a `Failure` while the daemon is away. */
  async images(repository: Repository, signal: AbortSignal): Promise<ReadonlyMap<string, NamedImage>> {
    await this.#ready(signal)
    return this.#images.get(repositoryKey(repository))?.byTag ?? new Map()
  }

  async repositories(signal: AbortSignal): Promise<readonly Repository[]> {
    await this.#ready(signal)
    return [...this.#images.values()].map(({ repository }) => repository)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  /** Whoever asks while the daemon is away has it tried at once. */
  async #ready(signal: AbortSignal): Promise<void> {
    if (this.#isCurrent) return
    this.#retry.abort()
    await unlessAborted(this.#reading.promise, signal)
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing
    for (let failed = 0; !signal.aborted; failed += 1) {
      try {
        // Events are subscribed to before the images are read, so that no change falls between the two.
        const events = await this.#client.events(signal)
        try {
          await this.#read()
          failed = 0
          for await (const _ of events) {
            // A build causes many events; those that have come meanwhile are one reason to read again.
            do await this.#read()
            while (events.read() !== null)
          }
        } finally {
          events.destroy()
        }
      } catch (error) {
        this.#end((reading) => reading.reject(error))
      }
      this.#isCurrent = false
      await this.#pause(backoffMs(failed + 1, RETRY))
    }
  }

  async #pause(ms: number): Promise<void> {
    this.#retry = new AbortController()
    const signal = AbortSignal.any([this.#closing.signal, this.#retry.signal])
    await pause(ms, { signal, ref: false }).catch(() => {})
  }

  async #read(): Promise<void> {
    this.#isCurrent = false
    const listed = await this.#client.list(this.#closing.signal)
    this.#images = namedImages(listed, this.#rules)
    this.#isCurrent = true
    this.#end((reading) => reading.resolve())
  }

  #end(how: (reading: Deferred<void>) => void): void {
    const reading = this.#reading
    this.#reading = newReading()
    how(reading)
  }
}

/** The images that have names, by the key of their repository. */
export function namedImages(
  listed: readonly ListedImage[],
  rules: NameRules,
): ReadonlyMap<string, NamedImages> {
  const images = new Map<string, { repository: Repository; byTag: Map<string, NamedImage> }>()
  for (const { Id: id, RepoTags } of listed) {
    for (const reference of RepoTags ?? []) {
      const { name, tag } = splitTag(reference)
      const repository = isTag(tag) ? repositoryOf(name, rules) : undefined
      if (repository === undefined) continue
      const key = repositoryKey(repository)
      const named = images.get(key) ?? { repository, byTag: new Map() }
      named.byTag.set(tag, { reference, id })
      images.set(key, named)
    }
  }
  return images
}

function newReading(): Deferred<void> {
  const reading = new Deferred<void>()
  reading.promise.catch(() => {})
  return reading
}
