import { resolve } from 'node:path'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import type { FileRange } from '../sources/files/file-tree.ts'
import { FileReader } from './formats/file-reader.ts'
import type { ImportSource, LeftOut, Located } from './formats/import-source.ts'
import { fileOf, type PlannedContent } from './image-plan.ts'
import type { ImportTarget } from './target/import-target.ts'

/** Bytes of contents that were read, stored before, or moved. The first number includes the others. */
export interface TransferredBytes {
  readonly bytes: number
  readonly hereBytes: number
  readonly movedBytes: number
}

/** A path may be longer. */
const MAX_ORIGIN_LENGTH = 300

/** Brings contents from the source into the store, each once. */
export class ContentTransfer {
  readonly #source: ImportSource
  readonly #target: ImportTarget
  readonly #canMove: boolean
  readonly #onLeftOut: (file: LeftOut) => void
  readonly #done = new Set<Digest>()
  /** The files of contents that have another digest. */
  readonly #wrongFiles = new Map<Digest, string>()
  #bytes = 0
  #hereBytes = 0
  #movedBytes = 0

  /** `onLeftOut` is called with each file that is not what it must be. */
  constructor(
    source: ImportSource,
    target: ImportTarget,
    { move, onLeftOut }: { readonly move: boolean; readonly onLeftOut: (file: LeftOut) => void },
  ) {
    this.#source = source
    this.#target = target
    this.#canMove = move && source.isCache
    this.#onLeftOut = onLeftOut
  }

  get transferred(): TransferredBytes {
    return { bytes: this.#bytes, hereBytes: this.#hereBytes, movedBytes: this.#movedBytes }
  }

  /** Gives the file of a content that has another digest. Rejects with a `Failure` if the content cannot be stored. */
  async store(
    repository: Repository,
    content: PlannedContent,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    signal.throwIfAborted()
    const { digest, size, located } = content
    const wrongFile = this.#wrongFiles.get(digest)
    if (wrongFile !== undefined) return wrongFile
    if (located === undefined || this.#done.has(digest)) {
      this.#hereBytes += size
      this.#bytes += size
      return undefined
    }
    try {
      await this.#transfer(repository, content, located, signal)
      this.#done.add(digest)
      return undefined
    } catch (cause) {
      signal.throwIfAborted()
      if (!(cause instanceof Failure) || cause.code !== 'corrupt') throw cause
      const file = fileOf(located, digest)
      const found = cause.details.found === undefined ? '' : `: its digest is ${cause.details.found}`
      this.#onLeftOut({ file, error: `It is not ${digest}${found}.` })
      this.#wrongFiles.set(digest, file)
      return file
    }
  }

  async #transfer(
    repository: Repository,
    { digest, kind, size, mediaType }: PlannedContent,
    located: Located,
    signal: AbortSignal,
  ): Promise<void> {
    const origin = originOf(this.#source.name)
    if (this.#canMove && kind === 'blob' && 'path' in located) {
      // The agent runs in another folder.
      const file = { path: resolve(located.path), digest, repository, origin }
      if (await this.#target.move(file, { signal })) {
        this.#movedBytes += size
        this.#bytes += size
        return
      }
    }
    const content = { kind, repository, digest, algorithm: algorithmOf(digest), size, mediaType, origin }
    if ('path' in located && (await this.#target.copy?.(content, fileRange(located), { signal }))) {
      this.#bytes += size
      return
    }
    const reader = await FileReader.open(located, (count) => {
      this.#bytes += count
    })
    try {
      await this.#target.put(content, reader.read, { signal })
    } finally {
      await reader.close()
    }
  }
}

/** The agent runs in another folder. */
function fileRange({ path, start, size, version }: FileRange): FileRange {
  return { path: resolve(path), start, size, version }
}

/** Who has brought a content, as reports show it. */
export function originOf(source: string): string {
  return `import ${source}`.slice(0, MAX_ORIGIN_LENGTH)
}
