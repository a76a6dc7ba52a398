import { plain, plural, sizeText, spanText } from '../../observe/text.ts'
import type { WarmDone, WarmedNode, WarmProgress } from '../../schemas/warm-report.ts'
import type { Terminal } from '../context/command.ts'
import { type DrawArea, fitRows } from '../terminal/bars.ts'
import { LiveProgress, type WarmEvent } from './output.ts'
import { fittingText, type ProgressRow, progressRows } from './progress-rows.ts'
import { amountTexts, originText } from './text.ts'

type Ended = Pick<WarmedNode, 'failed'>

/** How many lines about nodes are shown at once. */
const MAX_NODE_LINES = 13
/** How many nodes with the same error are named. */
const MAX_NODES_NAMED = 3
/** Many nodes report more often than a person can read. */
const DRAW_INTERVAL_MS = 200

/** Prints a line for each node, and at the end each error once with the nodes that had it. */
export class NodeOutput {
  readonly #terminal: Terminal
  readonly #liveProgress: LiveProgress
  readonly #names = new Map<string, string>()
  readonly #progress = new Map<string, WarmProgress>()
  readonly #ended = new Map<string, Ended>()
  /** The names of the nodes by the error of an image. */
  readonly #failures = new Map<string, string[]>()
  #drawnAt = Number.NEGATIVE_INFINITY

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    this.#liveProgress = new LiveProgress(terminal)
  }

  async line(line: WarmEvent): Promise<void> {
    const { node } = line
    if (node === undefined) return
    const name = plain(node.name)
    this.#names.set(node.id, name)
    switch (line.is) {
      case 'progress':
        this.#progress.set(node.id, line)
        return this.#draw()
      case 'image':
        if (line.error === null) return
        this.#failures.set(line.error, [...(this.#failures.get(line.error) ?? []), name])
        return
      case 'node':
        this.#ended.set(node.id, line)
        await this.#liveProgress.clear()
        if (line.error !== null) await this.#terminal.err(`agent: ${plain(line.error)}\n`)
        else await this.#terminal.out(nodeText(line, name))
    }
  }

  async done(done: WarmDone): Promise<void> {
    await this.end()
    const { nodes = 1, failedNodes = 0 } = done
    if (nodes > failedNodes) await this.#terminal.out(doneText(done, nodes, failedNodes))
  }

  async end(): Promise<void> {
    await this.#liveProgress.clear()
    for (const [error, names] of this.#failures) {
      await this.#terminal.err(`agent: ${plain(error)} (${nodesText(names)})\n`)
    }
    this.#failures.clear()
  }

  async #draw(): Promise<void> {
    const now = performance.now()
    if (now - this.#drawnAt < DRAW_INTERVAL_MS) return
    this.#drawnAt = now
    await this.#liveProgress.show(
      (area) => nodeLines(this.#nodes(), this.#total(), area),
      () => this.#total(),
    )
  }

  #nodes(): NodeShown[] {
    return [...this.#names].map(([id, name]) => ({
      name,
      ended: this.#ended.get(id),
      progress: this.#progress.get(id),
    }))
  }

  #total(): string {
    const all = { bytes: 0, ofBytes: 0, fetched: { peer: 0, objectStore: 0, upstream: 0 }, bytesPerSecond: 0 }
    let secondsLeft: number | null = 0
    for (const [id, progress] of this.#progress) {
      all.bytes += progress.bytes
      all.ofBytes += progress.ofBytes
      all.fetched.peer += progress.fetched.peer
      all.fetched.objectStore += progress.fetched.objectStore
      all.fetched.upstream += progress.fetched.upstream
      if (this.#ended.has(id)) continue
      all.bytesPerSecond += progress.bytesPerSecond
      // The slowest node determines the remaining time.
      const own = progress.secondsLeft
      secondsLeft = own === null || secondsLeft === null ? null : Math.max(secondsLeft, own)
    }
    const nodes = `${this.#ended.size} of ${plural(this.#names.size, 'node')}`
    return [nodes, ...amountTexts({ ...all, secondsLeft })].join(', ')
  }
}

interface NodeShown {
  readonly name: string
  readonly ended: Ended | undefined
  readonly progress: Pick<WarmProgress, 'bytes' | 'ofBytes' | 'fetched'> | undefined
}

/** When the area is too small for all nodes, those in progress come first, the slowest before the others. */
export function nodeLines(
  nodes: readonly NodeShown[],
  total: string,
  { columns, rows }: DrawArea,
): readonly string[] {
  const lines = progressRows([...nodes].sort((a, b) => rank(a) - rank(b)).map(nodeRow), columns)
  const nodeRows = Math.min(MAX_NODE_LINES, rows - 1)
  return [
    ...fitRows(lines, nodeRows, (count) => `and ${plural(count, 'more node')}`),
    fittingText(total.split(', '), columns),
  ]
}

/** The order in which nodes are shown. The errors of failed nodes are already printed above. */
function rank({ ended, progress }: NodeShown): number {
  if (ended !== undefined) return ended.failed > 0 ? 2 : 3
  const { bytes = 0, ofBytes = 0 } = progress ?? {}
  return ofBytes === 0 ? 1 : Math.min(1, bytes / ofBytes)
}

function nodeRow({ name, ended, progress }: NodeShown): ProgressRow {
  if (ended !== undefined) return { name, state: ended.failed === 0 ? 'done' : 'failed' }
  if (progress === undefined || progress.ofBytes === 0) return { name, state: 'preparing' }
  return { name, amounts: progress }
}

function nodeText(line: WarmedNode, name: string): string {
  const { images, failed, bytes, ms } = line
  const which = failed === 0 ? plural(images, 'image') : `${images - failed} of ${plural(images, 'image')}`
  return `${failed < images ? 'warmed' : 'failed'}  ${name}  ${which}, ${sizeText(bytes)} in ${spanText(ms)} (${originText(line)})\n`
}

function doneText(done: WarmDone, nodes: number, failedNodes: number): string {
  const which =
    failedNodes === 0 ? plural(nodes, 'node') : `${nodes - failedNodes} of ${plural(nodes, 'node')}`
  const images = plural(done.images, 'image')
  return `Warmed ${images} on ${which} with ${sizeText(done.bytes)} in ${spanText(done.ms)}: ${originText(done)}.\n`
}

function nodesText(names: readonly string[]): string {
  const more = names.length - MAX_NODES_NAMED
  // With one more, its name is as short as "and 1 other node".
  if (more > 1) return `${names.slice(0, MAX_NODES_NAMED).join(', ')} and ${more} other nodes`
  return names.join(', ')
}
