import { setMaxListeners } from 'node:events'
import { Failure } from '../ports/failure.ts'
import type { WarmLine } from '../schemas/warm-report.ts'
import { RequestError } from '../upkeep/request-error.ts'
import { type Fleet, type Wish, warmEverywhere } from './everywhere.ts'
import { Fetching } from './images/fetching.ts'
import { type Order, parseOrder, type WarmEntry } from './images/order.ts'
import type { Place } from './images/place.ts'
import { Keeper } from './keeper.ts'
import { Run } from './run.ts'

export type { WarmEntry }

/** Of those that somebody waits for. */
const MOST_RUNS = 16

export interface Wanting extends Wish {
  /** Here, and on every other node. */
  readonly allNodes?: boolean
  readonly signal: AbortSignal
}

/** Has images here before anybody pulls them: those that are asked for now, and those that are to be kept so. */
export class Warming {
  readonly #place: Place
  readonly #fetching: Fetching
  readonly #keepers: readonly Keeper[]
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  readonly #fleet: () => Fleet | undefined
  #runs = 0

  /** `fleet` is undefined for a node without others. Throws a `RequestError` when what is to be kept makes no sense. */
  constructor(
    place: Place,
    keep: readonly WarmEntry[] = [],
    fleet: () => Fleet | undefined = () => undefined,
  ) {
    this.#place = place
    this.#fleet = fleet
    this.#fetching = new Fetching(place)
    // As many as all that is to be kept has parts.
    setMaxListeners(0, this.#stopping.signal)
    this.#keepers = keep.map((entry) => new Keeper(place, this.#fetching, this.#order(entry)))
  }

  /** Begins to keep what is to be kept. */
  start(): void {
    for (const keeper of this.#keepers) void this.#track(keeper.run(this.#stopping))
  }

  /** Told in lines that end with `done`. What is refused is thrown by the first step. */
  async *warm({ images, signal, allNodes, ...how }: Wanting): AsyncGenerator<WarmLine> {
    const orders = [...new Set(images)].map((image) => this.#order({ image, ...how }))
    const fleet = allNodes === true ? this.#others() : undefined
    if (this.#runs >= MOST_RUNS) {
      throw new RequestError(
        'conflict',
        `${MOST_RUNS} others are warming images already; try again when they have ended`,
      )
    }
    this.#runs += 1
    try {
      const until = AbortSignal.any([signal, this.#stopping.signal])
      const here = (signal: AbortSignal): AsyncIterable<WarmLine> => this.#run(orders, signal)
      if (fleet === undefined) yield* here(until)
      else yield* warmEverywhere({ fleet, orders, platforms: how.platforms, here, signal: until })
    } finally {
      this.#runs -= 1
    }
  }

  /** Why not all that is to be kept warm is so: a sentence for each image. */
  async lacking(): Promise<readonly string[]> {
    const reasons = await Promise.all(this.#keepers.map((keeper) => keeper.lacking()))
    return reasons.filter((reason) => reason !== undefined)
  }

  /** Resolves when nothing of the node is used any more. Transfers under way are not waited for. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('stopping', 'the agent is shutting down'))
    await Promise.allSettled(this.#running)
  }

  #run(orders: readonly Order[], signal: AbortSignal): AsyncIterable<WarmLine> {
    const track = <Result>(work: Promise<Result>): Promise<Result> => this.#track(work)
    return new Run(this.#place, this.#fetching, { orders, track }).lines({ signal })
  }

  #others(): Fleet {
    const fleet = this.#fleet()
    if (fleet === undefined) {
      throw new RequestError(
        'conflict',
        'this agent has no peers to ask; leave --all-nodes out, or start all of them with --peers-secret-file',
      )
    }
    return fleet
  }

  #order(entry: WarmEntry): Order {
    const order = parseOrder(entry, this.#place.defaultNamespace)
    if (!order.ok) throw new RequestError('malformed', order.problem)
    return order.value
  }

  #track<Result>(work: Promise<Result>): Promise<Result> {
    this.#running.add(work)
    return work.finally(() => this.#running.delete(work))
  }
}
