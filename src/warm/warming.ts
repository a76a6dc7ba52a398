import { setMaxListeners } from 'node:events'
import { Failure } from '../ports/failure.ts'
import type { WarmLine } from '../schemas/warm-report.ts'
import { RequestError } from '../upkeep/request-error.ts'
import { type NodeRequest, type Nodes, warmAllNodes } from './all-nodes.ts'
import { ContentLoader } from './content/content-loader.ts'
import type { WarmTarget } from './content/warm-target.ts'
import { type ImageRequest, parseImageRequest, type WarmEntry } from './images/image-request.ts'
import { KeptImages } from './kept-images.ts'
import { WarmRun } from './warm-run.ts'

export type { WarmEntry }

/** Requests that wait for images at the same time. */
const MAX_RUNS = 16

export interface WarmingRequest extends NodeRequest {
  /** Also warm on every other node of the swarm. */
  readonly allNodes?: boolean
  /** How long each image waits for a registry that does not answer; default: not at all. */
  readonly waitMs?: number
  readonly signal: AbortSignal
}

/** Stores images before anybody pulls them: those of requests, and those that the settings keep warm. */
export class Warming {
  readonly #target: WarmTarget
  readonly #loader: ContentLoader
  readonly #kept: KeptImages
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  readonly #nodes: () => Nodes | undefined
  #runs = 0

  /** `nodes` returns undefined on an agent without peers. Throws a `RequestError` if an entry of `keep` is invalid. */
  constructor(
    target: WarmTarget,
    keep: readonly WarmEntry[] = [],
    nodes: () => Nodes | undefined = () => undefined,
  ) {
    this.#target = target
    this.#nodes = nodes
    this.#loader = new ContentLoader(target)
    // Every part of every image that is being warmed listens to the signal.
    setMaxListeners(0, this.#stopping.signal)
    this.#kept = new KeptImages(
      target,
      this.#loader,
      keep.map((entry) => this.#parse(entry)),
    )
  }

  /** Starts to keep the images of the settings warm. */
  start(): void {
    this.#kept.start()
  }

  /**
   * Gives a function that keeps these images warm, instead of those before; it cannot fail. Throws a `RequestError` if an entry
   * is invalid.
   */
  prepare(keep: readonly WarmEntry[]): () => void {
    const requests = keep.map((entry) => this.#parse(entry))
    return () => this.#kept.replace(requests)
  }

  /** The last line is `done`. The first step throws a `RequestError` if the request is refused. */
  async *warm({
    images,
    signal,
    allNodes,
    waitMs = 0,
    ...options
  }: WarmingRequest): AsyncGenerator<WarmLine> {
    const requests = [...new Set(images)].map((image) => this.#parse({ image, ...options }))
    const nodes = allNodes === true ? this.#requireNodes() : undefined
    if (this.#runs >= MAX_RUNS) {
      throw new RequestError(
        'conflict',
        `${MAX_RUNS} other requests are warming images; try again when one of them has ended`,
      )
    }
    this.#runs += 1
    try {
      const runSignal = AbortSignal.any([signal, this.#stopping.signal])
      const warmSelf = (signal: AbortSignal): AsyncIterable<WarmLine> => this.#run(requests, waitMs, signal)
      if (nodes === undefined) yield* warmSelf(runSignal)
      else {
        const { platforms } = options
        yield* warmAllNodes({ nodes, requests, platforms, warmSelf, signal: runSignal })
      }
    } finally {
      this.#runs -= 1
    }
  }

  /** Why images that should be kept warm are not completely stored: a sentence for each of them. */
  lacking(): Promise<readonly string[]> {
    return this.#kept.lacking()
  }

  /** How many of the images that should be kept warm are completely stored, and how many are not. */
  async progress(): Promise<{ readonly stored: number; readonly missing: number }> {
    const missing = (await this.lacking()).length
    return { stored: this.#kept.count - missing, missing }
  }

  /** Resolves when the target is no longer used. It does not wait for flights. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('stopping', 'the agent is shutting down'))
    await Promise.allSettled([this.#kept.stop(), ...this.#running])
  }

  #run(requests: readonly ImageRequest[], waitMs: number, signal: AbortSignal): AsyncIterable<WarmLine> {
    const track = <Result>(work: Promise<Result>): Promise<Result> => this.#track(work)
    return new WarmRun(this.#target, this.#loader, { requests, waitMs, track }).lines({ signal })
  }

  #requireNodes(): Nodes {
    const nodes = this.#nodes()
    if (nodes === undefined) {
      throw new RequestError(
        'conflict',
        'this agent has no peers; leave out --all-nodes, or start all agents with --peers-secret-file',
      )
    }
    return nodes
  }

  #parse(entry: WarmEntry): ImageRequest {
    const request = parseImageRequest(entry, this.#target.defaultNamespace)
    if (!request.ok) throw new RequestError('malformed', request.problem)
    return request.value
  }

  #track<Result>(work: Promise<Result>): Promise<Result> {
    this.#running.add(work)
    return work.finally(() => this.#running.delete(work))
  }
}
