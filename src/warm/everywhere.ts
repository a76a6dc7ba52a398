import { setMaxListeners } from 'node:events'
import { referenceText } from '../oci/names/reference.ts'
import { Failure } from '../ports/failure.ts'
import type { WarmDone, WarmedNode, WarmLine, WarmNode } from '../schemas/warm-report.ts'
import { RequestError } from '../upkeep/request-error.ts'
import type { Order } from './images/order.ts'
import { merged } from './merged.ts'

/** What another node is asked for: images named with their registry, since not all nodes need have the same default. */
export interface Wish {
  readonly images: readonly string[]
  readonly platforms: readonly string[]
  readonly referrers: boolean
  readonly pin: boolean
}

/** This node, and the others that can be asked to warm the same. What they throw is for people. */
export interface Fleet {
  readonly self: WarmNode
  readonly others: readonly {
    readonly node: WarmNode
    warm(wish: Wish, options: { signal: AbortSignal }): AsyncIterable<WarmLine>
  }[]
}

interface Warmer {
  readonly node: WarmNode
  lines(signal: AbortSignal): AsyncIterable<WarmLine>
}

export interface Everywhere {
  readonly fleet: Fleet
  readonly orders: readonly Order[]
  readonly platforms: readonly string[]
  /** On this node. */
  readonly here: (signal: AbortSignal) => AsyncIterable<WarmLine>
  readonly signal: AbortSignal
}

/** As many connections; in a larger swarm the others follow as these are done. */
const NODES_AT_ONCE = 256
/** Of an id, to tell two of the same name apart. */
const ID_CHARACTERS = 8

/** The same on all nodes at once. Told in lines that say which node they are about, and end with `done`. */
export async function* warmEverywhere(everywhere: Everywhere): AsyncGenerator<WarmLine> {
  const { orders, signal } = everywhere
  const startedAt = performance.now()
  const nodes = warmers(everywhere)
  const failed = new Set<string>()
  const done = { bytes: 0, hereBytes: 0, fetched: { peer: 0, upstream: 0 }, failedNodes: 0 }
  // As many as there are nodes.
  setMaxListeners(0, signal)
  const givers = nodes.map((one) => (until: AbortSignal) => told(one, orders.length, until))
  for await (const line of merged(givers, Math.min(NODES_AT_ONCE, nodes.length), { signal })) {
    if (line.is === 'image' && line.error !== null) failed.add(line.image)
    if (line.is === 'node') {
      add(done, line)
      if (line.error !== null) for (const { image } of orders) failed.add(image)
      if (line.failed > 0) done.failedNodes += 1
    }
    yield line
  }
  const ms = Math.round(performance.now() - startedAt)
  yield { is: 'done', images: orders.length, failed: failed.size, ...done, nodes: nodes.length, ms }
}

function warmers({ fleet, orders, platforms, here }: Everywhere): readonly Warmer[] {
  const nodes = distinct([fleet.self, ...fleet.others.map(({ node }) => node)])
  const asked = new Map(orders.map(({ reference, image }) => [referenceText(reference), image]))
  const [order] = orders
  const wish: Wish = {
    images: [...asked.keys()],
    platforms,
    referrers: order?.referrers === true,
    pin: order?.pin === true,
  }
  return nodes.map((node, index) => {
    const other = fleet.others[index - 1]
    return {
      node,
      lines: (signal) => (other === undefined ? here(signal) : asAsked(other.warm(wish, { signal }), asked)),
    }
  })
}

/** Names by which people can tell them apart. */
function distinct(nodes: readonly WarmNode[]): readonly WarmNode[] {
  const counts = new Map<string, number>()
  for (const { name } of nodes) counts.set(name, (counts.get(name) ?? 0) + 1)
  return nodes.map(({ id, name }) => ({
    id,
    name: counts.get(name) === 1 ? name : `${name}/${id.slice(0, ID_CHARACTERS)}`,
  }))
}

/** Images by the names by which they were asked for here; what was not asked for is passed over. */
async function* asAsked(
  lines: AsyncIterable<WarmLine>,
  asked: ReadonlyMap<string, string>,
): AsyncGenerator<WarmLine> {
  for await (const line of lines) {
    if (line.is === 'progress') {
      const under = line.under.flatMap((one) => {
        const image = asked.get(one.image)
        return image === undefined ? [] : { ...one, image }
      })
      yield { ...line, under }
    } else if (line.is === 'image') {
      const image = asked.get(line.image)
      if (image !== undefined) yield { ...line, image }
    } else yield line
  }
}

/** What one node tells, whatever becomes of it, up to its result. Throws only the signal's reason. */
async function* told({ node, lines }: Warmer, images: number, signal: AbortSignal): AsyncGenerator<WarmLine> {
  const startedAt = performance.now()
  const known = { bytes: 0, hereBytes: 0, fetched: { peer: 0, upstream: 0 } }
  try {
    for await (const line of lines(signal)) {
      if (line.is === 'done') {
        const { bytes, hereBytes, fetched, failed, ms } = line
        yield { is: 'node', node, error: null, images, failed, bytes, hereBytes, fetched, ms }
        return
      }
      if (line.is === 'progress') {
        known.bytes = line.bytes
        known.fetched = line.fetched
      }
      if (line.is === 'progress' || line.is === 'image') yield { ...line, node }
    }
    throw new Failure('unavailable', 'it has not said what it came to')
  } catch (error) {
    signal.throwIfAborted()
    const ms = Math.round(performance.now() - startedAt)
    yield { is: 'node', node, error: lost(node, error), images, failed: images, ...known, ms }
  }
}

function lost({ name }: WarmNode, error: unknown): string {
  const isOwn = error instanceof Failure || error instanceof RequestError
  return `${name} has not warmed them: ${isOwn ? error.message : 'something went wrong, which its log may tell'}`
}

function add(
  done: Pick<WarmDone, 'bytes' | 'hereBytes' | 'fetched'>,
  { bytes, hereBytes, fetched }: WarmedNode,
): void {
  done.bytes += bytes
  done.hereBytes += hereBytes
  done.fetched.peer += fetched.peer
  done.fetched.upstream += fetched.upstream
}
