import { REGISTRY } from '../../../../testkit/lab/node.ts'
import { percentile } from '../../../stats.ts'
import type { Cluster } from './measured-pulls.ts'

const MANIFESTS = 60
/** The first ones open connections and are compiled for. */
const WARM_UP = 10

/** Manifests that one node has and another one asks its own agent for, by digest, one after the other. */
export async function manifests({ context, lab }: Cluster): Promise<void> {
  const { upstream, nodes } = lab
  const [holder, asker] = [nodes[0], nodes[1]]
  if (holder === undefined || asker === undefined) throw new Error('two nodes are needed')
  const times: number[] = []
  let foreign = 0
  for (let number = 0; number < MANIFESTS; number++) {
    const { repository, manifest } = await upstream.image([100])
    const path = `/v2/${repository}/manifests/${manifest}?ns=${REGISTRY}`
    await holder.request(path)
    await upstream.forget()
    const { status, startedAt, endedAt } = await asker.request(path)
    if (status !== 200) throw new Error(`a manifest that a peer has was answered ${status}`)
    foreign += (await upstream.accounts()).requests
    if (number >= WARM_UP) times.push(endedAt - startedAt)
  }
  context.report({
    name: 'a manifest that a peer has',
    figures: [{ side: '90th percentile', unit: 'ms', values: [percentile(times, 90)] }],
    checks: [
      { label: 'median', unit: 'ms', values: [percentile(times, 50)], atMost: 10 },
      { label: 'requests to upstream', unit: '', values: [foreign], atMost: 0 },
    ],
    notes: ['on a new connection to the local agent each time'],
  })
}
