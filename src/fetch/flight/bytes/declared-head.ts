import type { ContentHead, Source } from '../../../ports/source.ts'
import { SizeContradiction } from './dispute-errors.ts'

/**
 * What the sources of a flight say about its content, and which of them said the size. The bytes prove it only at the
 * end.
 */
export class DeclaredHead {
  #size: number | undefined
  #mediaType: string | undefined
  #sizeSource: Source | undefined

  get size(): number | undefined {
    return this.#size
  }

  get mediaType(): string | undefined {
    return this.#mediaType
  }

  /** The source that said the size; an upstream host rather than a peer when both have said it. */
  get sizeSource(): Source | undefined {
    return this.#sizeSource
  }

  get isSizeFromPeer(): boolean {
    return this.#sizeSource?.kind === 'peer'
  }

  get isSizeFromUpstream(): boolean {
    return this.#sizeSource !== undefined && !this.isSizeFromPeer
  }

  /**
   * Takes the word of a source. Throws when it contradicts an earlier source, or the `position` that the bytes have
   * reached.
   */
  take(source: Source, { size, mediaType }: ContentHead, position: number): void {
    if (size !== undefined) {
      if ((this.#size !== undefined && size !== this.#size) || size < position) {
        throw new SizeContradiction(source.name, this.#size ?? position, size)
      }
      this.#size = size
      const isBetterKnown = this.isSizeFromPeer && source.kind !== 'peer'
      if (this.#sizeSource === undefined || isBetterKnown) this.#sizeSource = source
    }
    this.#mediaType ??= mediaType
  }

  /** Replaces what was declared by what the verified bytes have shown. */
  settle(size: number, mediaType: string | undefined): void {
    this.#size = size
    this.#mediaType = mediaType
  }

  forget(): void {
    this.#size = undefined
    this.#mediaType = undefined
    this.#sizeSource = undefined
  }
}
