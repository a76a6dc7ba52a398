import { ReloadedFile } from '../../lib/reloaded-file.ts'
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
const NO_KEYS = new KeySet([], { hasNames: true })

export async function openTokenKeys(
  keys: TokenOptions['keys'],
  { checkMs }: { checkMs?: number } = {},
): Promise<TokenKeys> {
  if (keys.kind === 'jwks-url') return new FetchedKeys(() => fetchJwks(keys.url, keys), keys.url)
  const parse = keys.kind === 'pem' ? keySetOfPem : keySetOfJwks
  const onProblem = (problem: string): void => publish('access.problem', { problem })
  const file = await ReloadedFile.open(keys.file, (bytes) => parse(bytes.toString('utf8'), keys.file), {
    onProblem,
    ...(checkMs === undefined ? {} : { checkMs }),
  })
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
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown error'
      publish('access.problem', { problem: `the keys of the token service cannot be fetched: ${reason}` })
    }
  }
}
