import { mapConcurrently } from '../lib/async/map-concurrently.ts'
import { withTicks } from '../lib/async/with-ticks.ts'
import { type Reference, referenceText } from '../oci/names/reference.ts'
import { Failure } from '../ports/failure.ts'
import { type PlanRequest, planImage } from './image-plan.ts'
import type { ImageReader } from './readers/image-reader.ts'
import { ExportError } from './targets/export-error.ts'
import type { BlobPart, ExportImage, ExportTarget } from './targets/target.ts'

const MOST_BLOBS_AT_ONCE = 3
const PROGRESS_MS = 250

export interface ExportProgress {
  readonly is: 'progress'
  /** The image in progress. */
  readonly image: string
  /** False until all manifests of the image are known. */
  readonly isPlanned: boolean
  readonly images: number
  readonly ofImages: number
  /** Of the image in progress, with what the target had already. */
  readonly bytes: number
  readonly ofBytes: number
  readonly bytesPerSecond: number
}

export interface ExportedImage {
  readonly is: 'image'
  readonly image: string
  readonly digest: string
  readonly manifests: number
  readonly blobs: number
  readonly bytes: number
  /** Without what the target had already. */
  readonly writtenBytes: number
  readonly referrers: number
  readonly foreign: number
  /** Why referrers that only the registry knows may be missing; null: none is. */
  readonly referrersProblem: string | null
}

export interface ExportDone {
  readonly is: 'done'
  readonly images: number
  readonly bytes: number
  readonly writtenBytes: number
  readonly ms: number
}

export type ExportLine = ExportProgress | ExportedImage | ExportDone

export interface ExportRequest {
  readonly reader: ImageReader
  readonly target: ExportTarget
  readonly images: readonly PlanRequest[]
  readonly signal: AbortSignal
  /** Nothing is written; the lines say what would be. */
  readonly isDryRun?: boolean
  /** What errors call it; default: exported. */
  readonly verb?: 'exported' | 'copied'
}

/**
 * Writes images one after the other, and says what has been done. Throws an `ExportError` at the first problem; what was
 * written whole until then stays in the target, which the caller closes.
 */
export function exportImages(request: ExportRequest): AsyncGenerator<ExportLine> {
  const run = new ExportRun(request)
  return withTicks<ExportLine, ExportLine>(run.lines(), PROGRESS_MS, () => run.progress())
}

class ExportRun {
  readonly #request: ExportRequest
  readonly #startedAt = performance.now()
  #current = { image: '', isPlanned: false, bytes: 0, ofBytes: 0 }
  #images = 0
  #bytes = 0
  #writtenBytes = 0

  constructor(request: ExportRequest) {
    this.#request = request
  }

  progress(): ExportProgress {
    const seconds = Math.max(0.001, (performance.now() - this.#startedAt) / 1000)
    return {
      is: 'progress',
      ...this.#current,
      images: this.#images,
      ofImages: this.#request.images.length,
      bytesPerSecond: Math.round(this.#writtenBytes / seconds),
    }
  }

  async *lines(): AsyncGenerator<ExportLine> {
    const { images, target, signal } = this.#request
    for (const image of images) {
      try {
        yield await this.#export(image)
      } catch (error) {
        signal.throwIfAborted()
        const { verb = 'exported' } = this.#request
        const { isPlanned } = this.#current
        throw asExportError(error, image.reference, { isPlanned, verb, target: target.source })
      }
      this.#images += 1
    }
    await target.finish()
    yield {
      is: 'done',
      images: this.#images,
      bytes: this.#bytes,
      writtenBytes: this.#writtenBytes,
      ms: Math.round(performance.now() - this.#startedAt),
    }
  }

  async #export(request: PlanRequest): Promise<ExportedImage> {
    const { reader, target, signal, isDryRun } = this.#request
    const name = referenceText(request.reference)
    this.#current = { image: name, isPlanned: false, bytes: 0, ofBytes: 0 }
    const image = await planImage(reader, request, { signal })
    const manifestBytes = image.manifests.reduce((sum, { bytes }) => sum + bytes.length, 0)
    const ofBytes = image.blobs.reduce((sum, { size }) => sum + size, manifestBytes)
    this.#current = { image: name, isPlanned: true, bytes: 0, ofBytes }
    const writtenBefore = this.#writtenBytes
    const writer = await target.begin(image)
    await this.#addBlobs(image, writer)
    if (isDryRun !== true) await writer.commit()
    this.#current.bytes += manifestBytes
    this.#writtenBytes += manifestBytes
    this.#bytes += ofBytes
    return {
      is: 'image',
      image: name,
      digest: image.root.digest,
      manifests: image.manifests.length,
      blobs: image.blobs.length,
      bytes: ofBytes,
      writtenBytes: this.#writtenBytes - writtenBefore,
      referrers: image.referrers.length,
      foreign: image.foreign,
      referrersProblem: image.referrersProblem ?? null,
    }
  }

  async #addBlobs({ reference, blobs }: ExportImage, writer: Awaited<ReturnType<ExportTarget['begin']>>) {
    const { reader, target, isDryRun } = this.#request
    const failed = new AbortController()
    const signal = AbortSignal.any([this.#request.signal, failed.signal])
    const add = async (blob: BlobPart): Promise<void> => {
      try {
        signal.throwIfAborted()
        if (await writer.has(blob)) this.#current.bytes += blob.size
        else if (isDryRun === true) this.#countUnread(blob)
        else await writer.add(blob, this.#counted(reader.blob(reference.repository, blob, { signal })))
      } catch (error) {
        // The first error ends the other blobs, too.
        failed.abort(error)
        throw error
      }
    }
    for await (const _ of mapConcurrently(blobs, target.isConcurrent ? MOST_BLOBS_AT_ONCE : 1, add));
  }

  #countUnread({ size }: BlobPart): void {
    this.#current.bytes += size
    this.#writtenBytes += size
  }

  async *#counted(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      yield chunk
      this.#current.bytes += chunk.length
      this.#writtenBytes += chunk.length
    }
  }
}

/** One sentence that names the image. */
function asExportError(
  error: unknown,
  reference: Reference,
  { isPlanned, verb, target }: { isPlanned: boolean; verb: string; target: string | undefined },
): unknown {
  const image = referenceText(reference)
  if (error instanceof ExportError) {
    return new ExportError(`${image} cannot be ${verb}: ${error.message}`, { cause: error })
  }
  if (!(error instanceof Failure)) return error
  const isOfTarget = target !== undefined && error.details.source === target
  const what = isOfTarget ? targetAdvice(error) : advice(error, isPlanned)
  return new ExportError(`${image} cannot be ${verb}: ${plainEnd(error.message)}; ${what}`, { cause: error })
}

function targetAdvice({ code }: Failure): string {
  if (code === 'denied') return 'correct that where it is written, and run the command again to continue'
  return code === 'too-large' ? 'leave it out' : 'run the command again to continue'
}

function advice({ code }: Failure, isPlanned: boolean): string {
  switch (code) {
    case 'absent':
      return isPlanned
        ? 'the image is incomplete where it was read, so copy it there again'
        : 'check the name'
    case 'corrupt':
      return 'what is written whole is kept'
    case 'denied':
      return 'check the name, and the credentials for the registry'
    case 'unsupported':
    case 'too-large':
      return 'leave it out'
    default:
      return 'run the command again to continue'
  }
}

function plainEnd(sentence: string): string {
  return sentence.replace(/\.$/, '')
}
