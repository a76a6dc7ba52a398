import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { FlightPolicy } from '../../../src/fetch/flight/flight-policy.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { Cluster } from './cluster.ts'
import type { Node, NodeOptions } from './cluster-node.ts'

export const MIB = 1024 * 1024
/** An address on which no registry listens. */
export const UNREACHABLE = '127.0.0.1:9'
/** Longer than anything takes in these tests. */
export const DEADLINE_MS = 60_000

/** Gives up a source that makes no progress soon, so that a test need not wait for it. */
export const IMPATIENT: Partial<FlightPolicy> = { progressTimeoutMs: 1000, sizeTimeoutMs: DEADLINE_MS }

/** Starts a cluster that is stopped when the test is over. */
export async function clusterOf(
  t: TestContext,
  count: number,
  host: string,
  options: NodeOptions = {},
): Promise<Cluster> {
  const cluster = await Cluster.start(count, host, options)
  t.after(() => cluster.stop())
  return cluster
}

/** Counts the requests that have had upstream send the content. */
export function getCount(upstream: FaultyUpstream, digest: Digest): number {
  return upstream.requests.filter(({ method, path }) => method === 'GET' && path.endsWith(digest)).length
}

/** Gives how many bytes of the digest a node has in a flight. */
export function positionOf({ resolver }: Node, digest: Digest): number {
  return resolver.flights.get(digest)?.position ?? 0
}

export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!condition()) {
    assert.ok(performance.now() < deadline, `the condition does not hold after ${DEADLINE_MS} ms`)
    await delay(2)
  }
}
