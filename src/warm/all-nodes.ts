import { setMaxListeners } from 'node:events'
import { referenceText } from '../oci/names/reference.ts'
import { Failure } from '../ports/failure.ts'
import type { WarmDone, WarmedNode, WarmLine, WarmNode } from '../schemas/warm-report.ts'
import { RequestError } from '../upkeep/request-error.ts'
import type { ImageRequest } from './images/image-request.ts'
import { mergeStreams } from './merge-streams.ts'

/** What another node is asked to warm. Images are named with their registry, as nodes may differ in the default one. */
export interface NodeRequest {
  readonly images: readonly string[]
  readonly platforms: readonly string[]
  readonly referrers: boolean
  readonly pin: boolean
}

/** This node, and the others, which can be asked to warm images. The messages of their errors are for people. */
export interface Nodes {
  readonly self: WarmNode
  readonly others: readonly {
    readonly node: WarmNode
    warm(request: NodeRequest, options: { signal: AbortSignal }): AsyncIterable<WarmLine>
  }[]
}

export interface AllNodesRequest {
  readonly nodes: Nodes
  readonly requests: readonly ImageRequest[]
  readonly platforms: readonly string[]
  /** Warms the images on this node. */
  readonly warmSelf: (signal: AbortSignal) => AsyncIterable<WarmLine>
  readonly signal: AbortSignal
}

interface NodeWarmer {
  readonly node: WarmNode
  lines(signal: AbortSignal): AsyncIterable<WarmLine>
}

/** The number of connections. In a larger swarm, the other nodes follow as these end. */
const NODES_AT_ONCE = 256
/** The characters of an id that tell two nodes of the same name apart. */
const ID_CHARACTERS = 8

/** Warms the images on all nodes at once. Each line names its node; the last line is `done`. */
export async function* warmAllNodes(request: AllNodesRequest): AsyncGenerator<WarmLine> {
  const { requests, signal } = request
  const startedAt = performance.now()
  const warmers = nodeWarmers(request)
  const failed = new Set<string>()
  const done = { bytes: 0, hereBytes: 0, fetched: { peer: 0, objectStore: 0, upstream: 0 }, failedNodes: 0 }
  // Every node listens to the signal.
  setMaxListeners(0, signal)
  const streams = warmers.map(
    (warmer) => (streamSignal: AbortSignal) => nodeLines(warmer, requests.length, streamSignal),
  )
  for await (const line of mergeStreams(streams, Math.min(NODES_AT_ONCE, warmers.length), { signal })) {
    if (line.is === 'image' && line.error !== null) failed.add(line.image)
    if (line.is === 'node') {
      addTotals(done, line)
      if (line.error !== null) for (const { image } of requests) failed.add(image)
      if (line.failed > 0) done.failedNodes += 1
    }
    yield line
  }
  const ms = Math.round(performance.now() - startedAt)
  yield { is: 'done', images: requests.length, failed: failed.size, ...done, nodes: warmers.length, ms }
}

function nodeWarmers({ nodes, requests, platforms, warmSelf }: AllNodesRequest): readonly NodeWarmer[] {
  const named = withUniqueNames([nodes.self, ...nodes.others.map(({ node }) => node)])
  const localNames = new Map(requests.map(({ reference, image }) => [referenceText(reference), image]))
  const [first] = requests
  const nodeRequest: NodeRequest = {
    images: [...localNames.keys()],
    platforms,
    referrers: first?.referrers === true,
    pin: first?.pin === true,
  }
  return named.map((node, index) => {
    const other = nodes.others[index - 1]
    return {
      node,
      lines: (signal) =>
        other === undefined
          ? warmSelf(signal)
          : withLocalNames(other.warm(nodeRequest, { signal }), localNames),
    }
  })
}

function withUniqueNames(nodes: readonly WarmNode[]): readonly WarmNode[] {
  const counts = new Map<string, number>()
  for (const { name } of nodes) counts.set(name, (counts.get(name) ?? 0) + 1)
  return nodes.map(({ id, name }) => ({
    id,
    name: counts.get(name) === 1 ? name : `${name}/${id.slice(0, ID_CHARACTERS)}`,
  }))
}

/** Names images as this node's client named them, and drops lines about images that were not requested. */
async function* withLocalNames(
  lines: AsyncIterable<WarmLine>,
  localNames: ReadonlyMap<string, string>,
): AsyncGenerator<WarmLine> {
  for await (const line of lines) {
    if (line.is === 'progress') {
      const under = line.under.flatMap((progress) => {
        const image = localNames.get(progress.image)
        return image === undefined ? [] : { ...progress, image }
      })
      yield { ...line, under }
    } else if (line.is === 'image') {
      const image = localNames.get(line.image)
      if (image !== undefined) yield { ...line, image }
    } else yield line
  }
}

/** The lines of one node. Whatever happens, the last one is the result of the node. Throws only the signal's reason. */
async function* nodeLines(
  { node, lines }: NodeWarmer,
  images: number,
  signal: AbortSignal,
): AsyncGenerator<WarmLine> {
  const startedAt = performance.now()
  const known = { bytes: 0, hereBytes: 0, fetched: { peer: 0, objectStore: 0, upstream: 0 } }
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
    throw new Failure('unavailable', 'it reported no result')
  } catch (error) {
    signal.throwIfAborted()
    const ms = Math.round(performance.now() - startedAt)
    yield { is: 'node', node, error: nodeErrorText(node, error), images, failed: images, ...known, ms }
  }
}

function nodeErrorText({ name }: WarmNode, error: unknown): string {
  const isForPeople = error instanceof Failure || error instanceof RequestError
  return `${name} did not warm the images: ${isForPeople ? error.message : 'internal error; see the log of its agent'}`
}

function addTotals(
  done: Pick<WarmDone, 'bytes' | 'hereBytes' | 'fetched'>,
  { bytes, hereBytes, fetched }: WarmedNode,
): void {
  done.bytes += bytes
  done.hereBytes += hereBytes
  done.fetched.peer += fetched.peer
  done.fetched.objectStore += fetched.objectStore
  done.fetched.upstream += fetched.upstream
}
