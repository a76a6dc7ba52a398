import { WatchedFile } from '../../lib/watched-file.ts'
import { publish } from '../../observe/events.ts'
import type { TokenOptions } from '../options/access-options.ts'
import { fetchJwks } from './fetch-jwks.ts'
import { KeySet, keySetOfJwks, keySetOfPem } from './key-set.ts'

/** Where the keys of a token service come from. */
export interface TokenKeys {
  /** Never rejects. */
  current(): Promise<KeySet>
  /** Looks for newer keys, because a token names one that is not known. Undefined: there are none. */
  newer(): Promise<KeySet | undefined>
}

/** Keys are asked for again after this time, so that those that the service has withdrawn are forgotten. */
const FRESH_MS = 10 * 60_000
const LEAST_PAUSE_MS = 60_000
/** How long it may take until a change of a file is noticed. */
const CHECK_MS = 1000
const NO_KEYS = new KeySet([], { hasNames: true })

export async function openTokenKeys(
  keys: TokenOptions['keys'],
  { checkMs = CHECK_MS }: { checkMs?: number } = {},
): Promise<TokenKeys> {
  if (keys.kind === 'jwks-url') return new FetchedKeys(() => fetchJwks(keys.url, keys), keys.url)
  const { kind, file: path } = keys
  const file = new WatchedFile(path, {
    parse: (text) => (kind === 'pem' ? keySetOfPem(text, path) : keySetOfJwks(text, path)),
    checkMs,
    onProblem: (problem) => publish('file.checked', { file: path, problem: problem?.message }),
  })
  await file.read()
  return { current: () => file.read(), newer: () => Promise.resolve(undefined) }
}

/** Keys from the service itself. They are kept when it cannot be reached. */
export class FetchedKeys implements TokenKeys {
  readonly #fetch: () => Promise<string>
  readonly #where: string
  readonly #now: () => number
  #set: KeySet | undefined
  #fetchedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #fetching: Promise<void> | undefined
  #problem: string | undefined

  constructor(fetch: () => Promise<string>, where: string, now: () => number = () => performance.now()) {
    this.#fetch = fetch
    this.#where = where
    this.#now = now
  }

  async current(): Promise<KeySet> {
    if (this.#now() - this.#fetchedAt >= FRESH_MS) {
      const fetching = this.#fetchSoon()
      if (this.#set === undefined) await fetching
    }
    return this.#set ?? NO_KEYS
  }

  async newer(): Promise<KeySet | undefined> {
    const before = this.#set
    await this.#fetchSoon()
    return this.#set === before ? undefined : this.#set
  }

  /** Resolves at once when the service was asked within the last minute. */
  #fetchSoon(): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching
    if (this.#now() - this.#triedAt < LEAST_PAUSE_MS) return Promise.resolve()
    this.#triedAt = this.#now()
    this.#fetching = this.#load().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #load(): Promise<void> {
    try {
      this.#set = keySetOfJwks(await this.#fetch(), this.#where)
      this.#fetchedAt = this.#now()
      this.#note(undefined)
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown error'
      this.#note(`the keys of the token service cannot be fetched: ${reason}`)
    }
  }

  #note(problem: string | undefined): void {
    if (problem === this.#problem) return
    this.#problem = problem
    publish('file.checked', { file: this.#where, problem })
  }
}
