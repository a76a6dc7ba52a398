import type { ActivityReport, MemberActivity } from '../../src/schemas/peer-report.ts'

const MIB = 1024 * 1024
const NOTHING = { local: 0, inflight: 0, peer: 0, objectStore: 0, upstream: 0 }

export type Bringer = readonly [from: string, isPeer: boolean]

/** An agent of a swarm that has fetched some content, with a transfer from each of those who bring it something now. */
export function swarmMember(
  name: string,
  {
    zone = null,
    self = false,
    from = [],
  }: { zone?: string | null; self?: boolean; from?: readonly Bringer[] },
): MemberActivity {
  const activity: ActivityReport = {
    served: { ...NOTHING, local: 300 * MIB, peer: 100 * MIB },
    fetched: { peer: 100 * MIB, objectStore: 0, upstream: 10 * MIB },
    store: { blobs: 12, bytes: 512 * MIB },
    warm: { stored: 2, missing: 1 },
    transfers: from.map(([bringer, isPeer], i) => ({
      digest: `sha256:${String(i).padStart(64, '0')}`,
      kind: 'blob',
      from: bringer,
      isPeer,
      position: 3 * MIB,
      size: 20 * MIB,
    })),
  }
  return { name, address: '10.0.0.1:5052', zone, self, activity }
}
