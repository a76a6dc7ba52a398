import { plain, plural, sizeText, spanText } from '../../observe/text.ts'
import type { WarmDone, WarmedNode, WarmProgress } from '../../schemas/warm-report.ts'
import type { Terminal } from '../context/command.ts'
import { fitting, type Room } from '../terminal/bars.ts'
import { Foot, type WarmEvent } from './progress.ts'
import { amountTexts, bar, MOST_NAME, named, originText } from './text.ts'

type Ended = Pick<WarmedNode, 'failed'>

/** So many lines about nodes are shown at once. */
const MOST_SHOWN = 13
/** So many nodes are named to whom the same has happened. */
const MOST_NAMED = 3
/** Many nodes tell more often than anybody can read. */
const DRAW_MS = 200

/** A line for each node, and at the end what has failed, each reason once. */
export class TellingNodes {
  readonly #terminal: Terminal
  readonly #foot: Foot
  readonly #names = new Map<string, string>()
  readonly #under = new Map<string, WarmProgress>()
  readonly #ended = new Map<string, Ended>()
  /** Of images, by what it was: the nodes it happened to. */
  readonly #failures = new Map<string, string[]>()
  #drawnAt = Number.NEGATIVE_INFINITY

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    this.#foot = new Foot(terminal)
  }

  async line(line: WarmEvent): Promise<void> {
    const { node } = line
    if (node === undefined) return
    const name = plain(node.name)
    this.#names.set(node.id, name)
    switch (line.is) {
      case 'progress':
        this.#under.set(node.id, line)
        return this.#draw()
      case 'image':
        if (line.error === null) return
        this.#failures.set(line.error, [...(this.#failures.get(line.error) ?? []), name])
        return
      case 'node':
        this.#ended.set(node.id, line)
        await this.#foot.clear()
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
    await this.#foot.clear()
    for (const [error, names] of this.#failures) {
      await this.#terminal.err(`agent: ${plain(error)} (${nodesText(names)})\n`)
    }
    this.#failures.clear()
  }

  async #draw(): Promise<void> {
    const now = performance.now()
    if (now - this.#drawnAt < DRAW_MS) return
    this.#drawnAt = now
    await this.#foot.show(
      (room) => nodeLines(this.#nodes(), this.#total(), room),
      () => this.#total(),
    )
  }

  #nodes(): NodeShown[] {
    return [...this.#names].map(([id, name]) => ({
      name,
      ended: this.#ended.get(id),
      progress: this.#under.get(id),
    }))
  }

  #total(): string {
    const all = { bytes: 0, ofBytes: 0, fetched: { peer: 0, upstream: 0 }, bytesPerSecond: 0 }
    let secondsLeft: number | null = 0
    for (const [id, progress] of this.#under) {
      all.bytes += progress.bytes
      all.ofBytes += progress.ofBytes
      all.fetched.peer += progress.fetched.peer
      all.fetched.upstream += progress.fetched.upstream
      if (this.#ended.has(id)) continue
      all.bytesPerSecond += progress.bytesPerSecond
      // All are done when the last one is.
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

/** Where there is no room for all, those that move come first, the furthest behind before others. */
export function nodeLines(
  nodes: readonly NodeShown[],
  total: string,
  { columns, rows }: Room,
): readonly string[] {
  const width = Math.min(MOST_NAME, Math.max(...nodes.map(({ name }) => name.length)))
  const lines = [...nodes]
    .sort((one, two) => rank(one) - rank(two))
    .map((node) => nodeLine(named(node.name, width), node, columns))
  const most = Math.min(MOST_SHOWN, rows - 1)
  return [...fitting(lines, most, (count) => `and ${plural(count, 'node')} more`), total]
}

/** What has failed stands above already. */
function rank({ ended, progress }: NodeShown): number {
  if (ended !== undefined) return ended.failed > 0 ? 2 : 3
  const { bytes = 0, ofBytes = 0 } = progress ?? {}
  return ofBytes === 0 ? 1 : Math.min(1, bytes / ofBytes)
}

function nodeLine(name: string, { ended, progress }: NodeShown, columns: number): string {
  if (ended !== undefined) return `${name}  ${ended.failed === 0 ? 'has all' : 'failed'}`
  if (progress === undefined || progress.ofBytes === 0) return `${name}  looking what is to come`
  return bar(name, progress, columns)
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
  const more = names.length - MOST_NAMED
  if (more > 1) return `${names.slice(0, MOST_NAMED).join(', ')} and ${more} other nodes`
  return names.join(', ')
}
