import { Semaphore } from '../../lib/async/semaphore.ts'
import type { Incoming } from '../../ports/blob-store.ts'
import type { Content } from '../../ports/content.ts'
import type { Want } from '../../ports/source.ts'
import type { Description } from '../flight/description.ts'
import { readAll } from './manifest-body.ts'
import { describeManifest, readMediaType } from './manifest-reading.ts'

/** A manifest up to this size is answered from memory. A larger one is in memory only while it is parsed. */
const MAX_SMALL_BYTES = 64 * 1024
/** How many large manifests may be parsed at a time, because each is in memory whole then. */
const MAX_PARALLEL = 2
const NEVER = new AbortController().signal

export function isLargeManifest(size: number): boolean {
  return size > MAX_SMALL_BYTES
}

/** Parses manifests, and only a few large ones at a time. */
export class LargeManifests {
  readonly #semaphore = new Semaphore(MAX_PARALLEL)

  /** Describes a verified content before it is stored. */
  describe(want: Want, incoming: Incoming, declaredType: string | undefined): Promise<Description> {
    const isLarge = want.kind === 'manifest' && isLargeManifest(incoming.position)
    const work = (): Promise<Description> => describe(want, incoming, declaredType)
    return isLarge ? this.#semaphore.use(NEVER, work) : work()
  }

  /** Finds the type of a large manifest that has no declared one. */
  async readMediaType(content: Content, options: { signal: AbortSignal }): Promise<string> {
    // The flight needs the semaphore before it ends, so its end is awaited outside of the semaphore.
    await content.readable(content.size - 1, options)
    return this.#semaphore.use(options.signal, () => readMediaType(content, options))
  }
}

async function describe(
  { kind }: Want,
  incoming: Incoming,
  declaredType: string | undefined,
): Promise<Description> {
  if (kind === 'blob') return { mediaType: undefined, references: [], subject: undefined }
  const bytes = await readAll((target, position) => incoming.read(target, position), incoming.position)
  return describeManifest(bytes, declaredType)
}
