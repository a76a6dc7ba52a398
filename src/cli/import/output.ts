import { plain, plural, sizeText, spanText } from '../../observe/text.ts'
import type { ImportDone, ImportedImage, ImportLine, ImportProgress } from '../../schemas/import-report.ts'
import type { Terminal } from '../context/command.ts'
import { digestText } from '../terminal/table.ts'
import { LiveProgress } from '../warm/output.ts'
import { progressRows } from '../warm/progress-rows.ts'

/** Prints every line as JSON, for scripts. */
export class JsonOutput {
  readonly #terminal: Terminal

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  line(line: ImportLine): Promise<void> {
    return this.#terminal.out(`${JSON.stringify(line)}\n`)
  }

  async end(): Promise<void> {}
}

/** Prints a line for each image and each file that was left out, and the progress below. */
export class TextOutput {
  readonly #terminal: Terminal
  readonly #liveProgress: LiveProgress

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    this.#liveProgress = new LiveProgress(terminal)
  }

  async line(line: ImportLine): Promise<void> {
    if (line.is === 'progress') {
      await this.#liveProgress.show(
        ({ columns }) => [...barLines(line, columns), totalText(line)],
        () => totalText(line),
      )
      return
    }
    await this.#liveProgress.clear()
    if (line.is === 'left-out') {
      await this.#terminal.err(`agent: ${plain(line.file)} is left out. ${plain(line.error)}\n`)
    } else if (line.is === 'done') {
      if (line.images > line.failed) await this.#terminal.out(doneText(line))
    } else if (line.error === null) {
      await this.#terminal.out(imageText(line, this.#terminal.isInteractive))
    } else {
      await this.#terminal.err(`agent: ${plain(line.error)}\n`)
    }
  }

  end(): Promise<void> {
    return this.#liveProgress.clear()
  }
}

function barLines({ image, bytes, ofBytes }: ImportProgress, columns: number): readonly string[] {
  const amounts = { bytes, ofBytes, fetched: { peer: 0, objectStore: 0, upstream: 0 } }
  return progressRows([{ name: image ?? 'reading the source', amounts }], columns)
}

function totalText({ images, ofImages, bytes, ofBytes, bytesPerSecond }: ImportProgress): string {
  return `${images} of ${plural(ofImages, 'image')}, ${sizeText(bytes)} of ${sizeText(ofBytes)}, ${sizeText(bytesPerSecond)}/s`
}

function imageText(line: ImportedImage, isInteractive: boolean): string {
  const notes = [
    `${plural(line.parts, 'part')}, ${sizeText(line.bytes)}${originText(line)}`,
    ...(line.referrers === 0 ? [] : [`with ${plural(line.referrers, 'referrer')}`]),
    ...(line.pinned ? ['pinned'] : []),
  ]
  return `stored  ${plain(line.image)}  ${digestText(line.digest ?? '', isInteractive)}  ${notes.join(', ')}\n`
}

function originText({ hereBytes, movedBytes }: Pick<ImportDone, 'hereBytes' | 'movedBytes'>): string {
  const parts = [
    ...(hereBytes === 0 ? [] : [`${sizeText(hereBytes)} already stored`]),
    ...(movedBytes === 0 ? [] : [`${sizeText(movedBytes)} moved`]),
  ]
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}

function doneText(done: ImportDone): string {
  const { images, failed, bytes, ms } = done
  const which = failed === 0 ? plural(images, 'image') : `${images - failed} of ${plural(images, 'image')}`
  return `Imported ${which} with ${sizeText(bytes)}${originText(done)} in ${spanText(ms)}.\n`
}
