import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { Cluster, type Node, type NodeOptions, REPOSITORY } from '../cluster.ts'

/** Members that ask the same registry, some of them with a credential. */

export const ALICE = { username: 'alice', password: 'the password of alice' }
export const BOB = { username: 'bob', password: 'the password of bob' }

/** Closed when the test is over. */
export async function upstreamFor(t: TestContext): Promise<FaultyUpstream> {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  return upstream
}

/** Stopped when the test is over. */
export async function customersOf(
  { host }: FaultyUpstream,
  t: TestContext,
  members: readonly NodeOptions[],
): Promise<Cluster> {
  const cluster = await Cluster.start(0, host)
  t.after(() => cluster.stop())
  await Promise.all(members.map((options) => cluster.add(host, options)))
  return cluster
}

/** From upstream, whatever peers have of it. */
export async function bringFromUpstream(
  { upstreams }: Node,
  digest: Digest,
  name = REPOSITORY.name,
): Promise<MemoryIntake> {
  const want = { kind: 'blob', digest, repository: { ...REPOSITORY, name } } as const
  const [host = assert.fail('there is no upstream')] = upstreams.sources(want)
  const intake = new MemoryIntake()
  await host.bring(want, intake, { signal: AbortSignal.timeout(60_000) })
  return intake
}
