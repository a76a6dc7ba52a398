import { type ActivityReport, MAX_TRANSFERS, type TakingReport } from '../../../schemas/peer-report.ts'

/** What a node does now. */
export interface ActiveNode {
  store(): { readonly blobs: number; readonly bytes: number }
  /** How many of the images that the settings keep warm are completely stored, and how many are not. */
  warm(): Promise<{ readonly stored: number; readonly missing: number }>
  flights(): readonly {
    readonly digest: string
    readonly kind: 'manifest' | 'blob'
    readonly position: number
    readonly size: number | undefined
    readonly source: string | undefined
  }[]
  /** undefined while the node is in no swarm. */
  peers(): { readonly taking: readonly TakingReport[] } | undefined
}

/** What this node does now, and has done since its start, as it tells its peers and its own page. */
export async function ownActivity(
  node: ActiveNode,
  { served, fetched }: Pick<ActivityReport, 'served' | 'fetched'>,
): Promise<ActivityReport> {
  const { blobs, bytes } = node.store()
  const parents = new Map(node.peers()?.taking.map(({ digest, from }) => [digest, from]))
  const transfers = node.flights().slice(0, MAX_TRANSFERS)
  return {
    served,
    fetched,
    store: { blobs, bytes },
    warm: await node.warm(),
    transfers: transfers.map(({ digest, kind, position, size = null, source = null }) => {
      const parent = parents.get(digest)
      return { digest, kind, from: parent ?? source, isPeer: parent !== undefined, position, size }
    }),
  }
}
