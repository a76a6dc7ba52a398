import {
  type ExportDone,
  type ExportedImage,
  type ExportLine,
  type ExportProgress,
  type ExportRequest,
  exportImages,
} from '../../export/export-run.ts'
import { plain, plural, sizeText, spanText } from '../../observe/text.ts'
import type { Terminal } from '../context/command.ts'
import type { DrawArea } from '../terminal/bars.ts'
import { digestText } from '../terminal/table.ts'
import { LiveProgress } from '../warm/output.ts'
import { progressRows } from '../warm/progress-rows.ts'

const GIB = 1024 ** 3
const NOTHING_FETCHED = { peer: 0, objectStore: 0, upstream: 0 }

/** Prints what an export has done. */
interface ExportOutput {
  line(line: ExportLine): Promise<void>
  /** Called at the end, also after a failure. */
  end(): Promise<void>
}

/** What the output calls the work. */
interface Words {
  readonly image: string
  readonly done: string
  /** What to do about referrers that may be missing. */
  readonly advice: string
}

const EXPORTED: Words = {
  image: 'exported',
  done: 'Exported',
  advice: 'export it again when the registry answers, or leave out --referrers',
}

interface OutputOptions {
  readonly isJson: boolean
  readonly words?: Words
  /** The price of what was there already, and so was not sent. */
  readonly costPerGiB?: number | undefined
}

/** Runs the export, prints what it does, and closes its target. False: referrers that were asked for may be missing. */
export async function runExport(
  request: ExportRequest,
  terminal: Terminal,
  { isJson, words = EXPORTED, costPerGiB }: OutputOptions,
): Promise<boolean> {
  const output: ExportOutput = isJson
    ? new JsonOutput(terminal, costPerGiB)
    : new TextOutput(terminal, words, costPerGiB)
  let isComplete = true
  try {
    for await (const line of exportImages(request)) {
      if (line.is === 'image' && line.referrersProblem !== null) isComplete = false
      await output.line(line)
    }
    return isComplete
  } finally {
    await request.target.close()
    await output.end()
  }
}

class JsonOutput implements ExportOutput {
  readonly #terminal: Terminal
  readonly #costPerGiB: number | undefined

  constructor(terminal: Terminal, costPerGiB: number | undefined) {
    this.#terminal = terminal
    this.#costPerGiB = costPerGiB
  }

  line(line: ExportLine): Promise<void> {
    const saved = line.is === 'done' ? savedCost(line, this.#costPerGiB) : undefined
    const told = saved === undefined ? line : { ...line, savedCost: saved }
    return this.#terminal.out(`${JSON.stringify(told)}\n`)
  }

  async end(): Promise<void> {}
}

class TextOutput implements ExportOutput {
  readonly #terminal: Terminal
  readonly #liveProgress: LiveProgress
  readonly #words: Words
  readonly #costPerGiB: number | undefined

  constructor(terminal: Terminal, words: Words, costPerGiB: number | undefined) {
    this.#terminal = terminal
    this.#words = words
    this.#costPerGiB = costPerGiB
    this.#liveProgress = new LiveProgress(terminal)
  }

  async line(line: ExportLine): Promise<void> {
    if (line.is === 'progress') {
      await this.#liveProgress.show(
        (area) => barLines(line, area),
        () => totalText(line),
      )
      return
    }
    await this.#liveProgress.clear()
    if (line.is === 'image') await this.#image(line)
    else await this.#terminal.out(`${this.#words.done} ${doneText(line, this.#costPerGiB)}`)
  }

  end(): Promise<void> {
    return this.#liveProgress.clear()
  }

  async #image(line: ExportedImage): Promise<void> {
    await this.#terminal.out(`${this.#words.image}  ${imageText(line, this.#terminal.isInteractive)}`)
    if (line.referrersProblem !== null)
      await this.#terminal.err(problemText(line.image, line.referrersProblem, this.#words))
  }
}

function problemText(image: string, problem: string, { image: verb, advice }: Words): string {
  const why = plain(problem).replace(/\.$/, '')
  return `agent: ${plain(image)} is ${verb} without the referrers that only its registry knows: ${why}; ${advice}.\n`
}

function imageText(line: ExportedImage, isInteractive: boolean): string {
  const { image, digest, manifests, blobs, bytes, writtenBytes, referrers, foreign } = line
  const what = [
    `${plural(manifests, 'manifest')}, ${plural(blobs, 'blob')}, ${sizeText(bytes)}`,
    ...(writtenBytes < bytes ? [`${sizeText(bytes - writtenBytes)} already there`] : []),
    ...(referrers === 0 ? [] : [`with ${plural(referrers, 'referrer')}`]),
    ...(foreign === 0 ? [] : [`without ${plural(foreign, 'foreign layer')}`]),
  ]
  return `${plain(image)}  ${digestText(digest, isInteractive)}  ${what.join(', ')}\n`
}

function doneText(done: ExportDone, costPerGiB: number | undefined): string {
  const { images, bytes, writtenBytes, ms } = done
  const cost = savedCost(done, costPerGiB)
  const worth = cost === undefined ? '' : `, which saves ${cost.toFixed(2)}`
  const there = writtenBytes < bytes ? `, ${sizeText(bytes - writtenBytes)} of it already there${worth}` : ''
  return `${plural(images, 'image')} with ${sizeText(bytes)} in ${spanText(ms)}${there}.\n`
}

function savedCost({ bytes, writtenBytes }: ExportDone, costPerGiB: number | undefined): number | undefined {
  return costPerGiB === undefined ? undefined : ((bytes - writtenBytes) / GIB) * costPerGiB
}

function totalText({ images, ofImages, image, bytes, ofBytes, bytesPerSecond }: ExportProgress): string {
  const amount = `${sizeText(bytes)} of ${sizeText(ofBytes)}, ${sizeText(bytesPerSecond)}/s`
  return `${images} of ${plural(ofImages, 'image')}; ${plain(image)}: ${amount}`
}

function barLines(progress: ExportProgress, { columns, rows }: DrawArea): readonly string[] {
  const { image, isPlanned, images, ofImages, bytesPerSecond } = progress
  const amounts = { ...progress, fetched: NOTHING_FETCHED }
  const row = isPlanned ? { name: image, amounts } : { name: image, state: 'reading manifests' }
  const lines = [
    ...progressRows([row], columns),
    `${images} of ${plural(ofImages, 'image')}, ${sizeText(bytesPerSecond)}/s`,
  ]
  return lines.slice(0, rows)
}
