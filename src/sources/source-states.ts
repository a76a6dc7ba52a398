import { unlessAborted } from '../lib/async/abort.ts'
import { SharedWork } from '../lib/async/shared-work.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import type { LocalSource } from '../ports/local-source.ts'
import type { ComparedSource, Comparison, HiddenImage } from './hidden-images.ts'

/** Whether a source can be read now, and what it has. */
export interface SourceState {
  readonly name: string
  /** Neither peers nor upstream are asked for its images. */
  readonly isExclusive: boolean
  /** undefined when the source cannot be read. */
  readonly repositories: number | undefined
  /** Why the source cannot be read, or what it has failed to do; a sentence. */
  readonly problem: string | undefined
  /** Its images that are not served, because an earlier source has others under their names; at most a hundred. */
  readonly hidden: readonly HiddenImage[]
  /** Whether its images were all compared with those of the other sources; otherwise more of them may be hidden. */
  readonly isCompared: boolean
}

export interface ListedSource {
  readonly source: Pick<LocalSource, 'repositories' | 'problem'> & ComparedSource
  readonly isExclusive: boolean
}

/** Counting the images of a folder means to walk through it, so their number is shown for this long. */
const FRESH_MS = 5_000
/** A report does not wait longer for the sources. */
export const PATIENCE_MS = 2_000

/** Compares the images in these repositories, or gives what the last comparison found. */
export type Compare = (repositories: readonly (readonly Repository[])[]) => Comparison | Promise<Comparison>

/** The states of all sources, for reports. */
export class SourceStates {
  readonly #sources: readonly ListedSource[]
  readonly #compare: Compare
  readonly #patienceMs: number
  readonly #reading = new SharedWork<readonly Listing[]>()
  #known: { readonly readAt: number; readonly listings: readonly Listing[] } | undefined

  constructor(sources: readonly ListedSource[], compare: Compare, patienceMs = PATIENCE_MS) {
    this.#sources = sources
    this.#compare = compare
    this.#patienceMs = patienceMs
  }

  async read(): Promise<readonly SourceState[]> {
    const listings = await this.#list()
    const { hidden, isComplete } = await this.#compare(listings.map((listing) => listing.repositories ?? []))
    return this.#sources.map(({ source, isExclusive }, i) => ({
      name: source.name,
      isExclusive,
      repositories: listings[i]?.repositories?.length,
      problem: listings[i]?.problem,
      hidden: hidden[i] ?? [],
      isCompared: isComplete,
    }))
  }

  async #list(): Promise<readonly Listing[]> {
    const known = this.#known
    if (known !== undefined && performance.now() - known.readAt < FRESH_MS) return known.listings
    const listings = await this.#reading.run('all', () => this.#listNow()).promise
    this.#known = { readAt: performance.now(), listings }
    return listings
  }

  #listNow(): Promise<readonly Listing[]> {
    const patienceMs = this.#patienceMs
    const signal = AbortSignal.timeout(patienceMs)
    return Promise.all(this.#sources.map(({ source }) => listingOf(source, { signal, patienceMs })))
  }
}

interface Listing {
  readonly repositories: readonly Repository[] | undefined
  readonly problem: string | undefined
}

async function listingOf(
  source: ListedSource['source'],
  { signal, patienceMs }: { readonly signal: AbortSignal; readonly patienceMs: number },
): Promise<Listing> {
  try {
    // A walk through a folder does not follow the signal.
    const repositories = await unlessAborted(source.repositories({ signal }), signal)
    return { repositories, problem: source.problem?.() }
  } catch (error) {
    const isLate = signal.aborted && !(error instanceof Failure)
    const problem = isLate ? lateText(source.name, patienceMs) : problemOf(source.name, error)
    return { repositories: undefined, problem }
  }
}

function lateText(name: string, patienceMs: number): string {
  return `${name} has not listed its images within ${patienceMs / 1000} s.`
}

function problemOf(name: string, error: unknown): string {
  if (error instanceof Failure) return error.message
  return `${name} cannot be read: ${error instanceof Error ? error.message : String(error)}.`
}
