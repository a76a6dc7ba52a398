import type { Pseudonyms } from '../identity/pseudonyms.ts'
import type { Hearsay, Word } from '../membership/rate-limit-notices.ts'

/** Of a pseudonym: enough to be nobody else's. */
const WHO_LENGTH = 32

/** What is told of a registry to those who are concerned. */
export type Told = Omit<Word, 'who'>

/** Tells the others what a registry has told this node, and what they have told, under names that only those know who are concerned. */
export class WordOfMouth {
  readonly #pseudonyms: Pseudonyms
  readonly #hearsay: () => Hearsay | undefined

  constructor(pseudonyms: Pseudonyms, hearsay: () => Hearsay | undefined) {
    this.#pseudonyms = pseudonyms
    this.#hearsay = hearsay
  }

  tell(told: Told, identity: string): void {
    this.#hearsay()?.tell({ ...told, who: this.#pseudonyms.of(identity).slice(0, WHO_LENGTH) })
  }

  heard(identity: string): Told | undefined {
    const hearsay = this.#hearsay()
    if (hearsay === undefined) return undefined
    for (const pseudonym of this.#pseudonyms.all(identity)) {
      const word = hearsay.heard(pseudonym.slice(0, WHO_LENGTH))
      if (word !== undefined) return word
    }
    return undefined
  }
}
