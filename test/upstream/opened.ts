import type { TestContext } from 'node:test'
import type { Digest } from '../../src/oci/digest.ts'
import type { Repository } from '../../src/oci/names/repository.ts'
import type { Source, VouchedIntake, Want } from '../../src/ports/source.ts'
import type { RateLimitNotices } from '../../src/upstream/limits/rate-limit-notices.ts'
import type { UpstreamEntry, UpstreamOptions } from '../../src/upstream/options/options.ts'
import { createUpstreams, type Upstreams } from '../../src/upstream/upstreams.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { sharedLanes } from '../lanes/shared-lanes.ts'

export interface Opened {
  readonly server: FaultyUpstream
  readonly upstreams: Upstreams
  readonly repository: Repository
  readonly signal: AbortSignal
  readonly abort: (reason: unknown) => void
  want(digest: Digest, kind?: 'blob' | 'manifest'): Want
  source(digest: Digest, kind?: 'blob' | 'manifest'): Source
  bring(digest: Digest, intake: VouchedIntake, kind?: 'blob' | 'manifest'): Promise<void>
}

/** A faulty registry, and upstreams that have it as their one entry; both are closed after the test. */
export async function open(
  t: TestContext,
  entry: Partial<UpstreamEntry> = {},
  options: Omit<UpstreamOptions, 'entries'> & { tls?: boolean; notices?: RateLimitNotices } = {},
): Promise<Opened> {
  const { tls = false, notices, ...others } = options
  const server = await startFaultyUpstream({ tls })
  t.after(() => server.close())
  const entries = [{ namespace: server.host, tls, acceptInvalidCerts: tls, ...entry }]
  const upstreams = createUpstreams({ backoffMs: 1, ...others, entries }, { notices, lanes: sharedLanes() })
  t.after(() => upstreams.close())
  const repository = { registry: entry.namespace ?? server.host, name: 'team/app' }
  const controller = new AbortController()
  const { signal } = controller
  const want = (digest: Digest, kind: 'blob' | 'manifest' = 'blob'): Want => ({ digest, kind, repository })
  const source = (digest: Digest, kind: 'blob' | 'manifest' = 'blob'): Source => {
    const [first] = upstreams.sources(want(digest, kind))
    if (first === undefined) throw new Error('no source')
    return first
  }
  return {
    server,
    upstreams,
    repository,
    signal,
    abort: (reason) => controller.abort(reason),
    want,
    source,
    bring: (digest, intake, kind = 'blob') =>
      source(digest, kind).bring(want(digest, kind), intake, { signal }),
  }
}
