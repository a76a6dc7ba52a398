import { setMaxListeners } from 'node:events'
import { Failure } from '../ports/failure.ts'
import type { ContentLoader } from './content/content-loader.ts'
import type { WarmTarget } from './content/warm-target.ts'
import type { ImageRequest } from './images/image-request.ts'
import { Keeper } from './keeper.ts'

interface KeptImage {
  readonly keeper: Keeper
  readonly stopping: AbortController
}

/** The images that the settings keep warm, each with its keeper. */
export class KeptImages {
  readonly #target: WarmTarget
  readonly #loader: ContentLoader
  readonly #running = new Set<Promise<void>>()
  #images: ReadonlyMap<string, KeptImage> = new Map()
  #isStarted = false
  #isStopped = false

  constructor(target: WarmTarget, loader: ContentLoader, requests: readonly ImageRequest[]) {
    this.#target = target
    this.#loader = loader
    this.replace(requests)
  }

  get count(): number {
    return this.#images.size
  }

  /** Keeps these images from now on. An image that was kept before goes on as it is; the others are kept no longer. */
  replace(requests: readonly ImageRequest[]): void {
    const before = this.#images
    const wanted = new Map(requests.map((request) => [JSON.stringify(request), request]))
    const added = [...wanted].filter(([key]) => !before.has(key))
    const started = added.map(([key, request]) => [key, this.#keep(request)] as const)
    const remaining = [...before].filter(([key]) => wanted.has(key))
    this.#images = new Map([...remaining, ...started])
    for (const [key, { stopping }] of before)
      if (!wanted.has(key)) stop(stopping, 'the image is kept no longer')
    if (this.#isStarted) for (const [, image] of started) this.#run(image)
  }

  start(): void {
    this.#isStarted = true
    for (const image of this.#images.values()) this.#run(image)
  }

  /** Why images are not completely stored: a sentence for each of them. */
  async lacking(): Promise<readonly string[]> {
    const reasons = await Promise.all([...this.#images.values()].map(({ keeper }) => keeper.lacking()))
    return reasons.filter((reason) => reason !== undefined)
  }

  /** Resolves when the target is no longer used. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const { stopping } of this.#images.values()) stop(stopping, 'the agent is shutting down')
    await Promise.all(this.#running)
  }

  #keep(request: ImageRequest): KeptImage {
    const stopping = new AbortController()
    // Every part of the image listens to the signal.
    setMaxListeners(0, stopping.signal)
    return { keeper: new Keeper(this.#target, this.#loader, request), stopping }
  }

  #run({ keeper, stopping }: KeptImage): void {
    if (this.#isStopped) return
    const run = keeper.run(stopping).finally(() => this.#running.delete(run))
    this.#running.add(run)
  }
}

function stop(stopping: AbortController, reason: string): void {
  stopping.abort(new Failure('stopping', reason))
}
