import { plain } from '../../observe/text.ts'
import type { WarmDone, WarmLine } from '../../schemas/warm-report.ts'
import type { Terminal } from '../context/command.ts'
import { Bars, type DrawArea } from '../terminal/bars.ts'
import { Progress } from '../terminal/progress.ts'
import { barLines, doneText, imageText, totalText } from './text.ts'

export type WarmEvent = Exclude<WarmLine, { is: 'done' } | { is: 'failed' }>

/** Prints the progress and the result of warming. */
interface WarmOutput {
  line(line: WarmEvent): Promise<void>
  done(done: WarmDone): Promise<void>
  /** Called at the end, also after a failure. */
  end(): Promise<void>
}

/** Prints every line as JSON, for scripts. */
export class JsonOutput implements WarmOutput {
  readonly #terminal: Terminal

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  line(line: WarmLine): Promise<void> {
    return this.#terminal.out(`${JSON.stringify(line)}\n`)
  }

  done(done: WarmDone): Promise<void> {
    return this.line(done)
  }

  async end(): Promise<void> {}
}

/** Prints a line for each finished image, and the images in progress below. */
export class ImageOutput implements WarmOutput {
  readonly #terminal: Terminal
  readonly #liveProgress: LiveProgress

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    this.#liveProgress = new LiveProgress(terminal)
  }

  async line(line: WarmEvent): Promise<void> {
    if (line.is === 'progress') {
      await this.#liveProgress.show(
        (area) => barLines(line, area),
        () => totalText(line),
      )
      return
    }
    if (line.is === 'node') return
    await this.#liveProgress.clear()
    if (line.error === null) await this.#terminal.out(imageText(line, this.#terminal.isInteractive))
    else await this.#terminal.err(`agent: ${plain(line.error)}\n`)
  }

  async done(done: WarmDone): Promise<void> {
    await this.#liveProgress.clear()
    // Without any success, the errors of the images have said everything.
    if (done.images > done.failed) await this.#terminal.out(doneText(done))
  }

  end(): Promise<void> {
    return this.#liveProgress.clear()
  }
}

/** Shows what is in progress: bars on a terminal, a line every 10 s elsewhere. */
export class LiveProgress {
  readonly #bars: Bars | undefined
  readonly #progress: Progress

  constructor(terminal: Terminal) {
    this.#bars = terminal.isInteractive ? new Bars(terminal) : undefined
    this.#progress = new Progress(terminal, { isSilent: false })
  }

  async show(lines: (area: DrawArea) => readonly string[], text: () => string): Promise<void> {
    if (this.#bars === undefined) await this.#progress.show(text())
    else await this.#bars.draw(lines)
  }

  /** To be called before anything else is written. */
  async clear(): Promise<void> {
    if (this.#bars === undefined) await this.#progress.clear()
    else await this.#bars.clear()
  }
}
