import { type ActivityReport, MAX_TRANSFERS } from '../../../schemas/peer-report.ts'
import type { CounterTotals } from '../../metrics/metrics.ts'
import type { NodeView } from '../view.ts'

/** What this node does now, and has done since its start, as it tells its peers and its own page. */
export async function ownActivity(
  view: Pick<NodeView, 'flights' | 'peers' | 'store' | 'warm'>,
  { served, fetched }: Pick<CounterTotals, 'served' | 'fetched'>,
): Promise<ActivityReport> {
  const { blobs, bytes } = view.store()
  const parents = new Map(view.peers()?.taking.map(({ digest, from }) => [digest, from]))
  const transfers = view.flights().slice(0, MAX_TRANSFERS)
  return {
    served,
    fetched,
    store: { blobs, bytes },
    warm: await view.warm(),
    transfers: transfers.map(({ digest, kind, position, size = null, source = null }) => {
      const parent = parents.get(digest)
      return { digest, kind, from: parent ?? source, isPeer: parent !== undefined, position, size }
    }),
  }
}
