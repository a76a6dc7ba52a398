import { Semaphore } from '../../lib/async/semaphore.ts'

/** The thread pool has four threads, which also read the files that clients wait for. */
const AT_ONCE = 2
const MOST_WAITING = 16
const DEADLINE_MS = 10_000

export type CompareHash = (password: Buffer, hash: string) => Promise<boolean>

/** Compares passwords with hashes, a few at a time. */
export class PasswordHashing {
  readonly #compare: CompareHash
  readonly #slots = new Semaphore(AT_ONCE)
  #pending = 0

  constructor(compare: CompareHash) {
    this.#compare = compare
  }

  /** Resolves with undefined when too many others wait. */
  async compare(password: Buffer, hash: string): Promise<boolean | undefined> {
    if (this.#pending >= AT_ONCE + MOST_WAITING) return undefined
    this.#pending += 1
    const deadline = AbortSignal.timeout(DEADLINE_MS)
    try {
      return await this.#slots.use(deadline, () => this.#compare(password, hash))
    } catch (error) {
      if (deadline.aborted) return undefined
      throw error
    } finally {
      this.#pending -= 1
    }
  }
}

/** Loads the native module only where passwords are used. */
export async function loadBcrypt(): Promise<CompareHash> {
  const { compare } = await import('bcrypt')
  return compare
}
