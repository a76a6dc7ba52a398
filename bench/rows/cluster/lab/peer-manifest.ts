import { REGISTRY } from '../../../../testkit/lab/node.ts'
import { percentile } from '../../../stats.ts'
import type { MeasuredCluster } from './measured-pulls.ts'

const MANIFESTS = 60
/** The first manifests open connections, and the code for them is compiled. */
const WARM_UP = 10

/** One node requests manifests from its agent that only the agent of another node has. */
export async function peerManifest({ context, lab }: MeasuredCluster): Promise<void> {
  const { upstream, nodes } = lab
  const [seeder, requester] = [nodes[0], nodes[1]]
  if (seeder === undefined || requester === undefined) throw new Error('two nodes are needed')
  const times: number[] = []
  let upstreamRequests = 0
  for (let number = 0; number < MANIFESTS; number++) {
    const { repository, manifest } = await upstream.makeImage([100])
    const path = `/v2/${repository}/manifests/${manifest}?ns=${REGISTRY}`
    await seeder.request(path)
    await upstream.resetTraffic()
    const { status, startedAt, endedAt } = await requester.request(path)
    if (status !== 200) throw new Error(`a manifest that a peer has was answered ${status}`)
    upstreamRequests += (await upstream.traffic()).requests
    if (number >= WARM_UP) times.push(endedAt - startedAt)
  }
  context.report({
    name: 'a manifest that a peer has',
    figures: [{ side: '90th percentile', unit: 'ms', values: [percentile(times, 90)] }],
    checks: [
      { label: 'median', unit: 'ms', values: [percentile(times, 50)], atMost: 10 },
      { label: 'requests to upstream', unit: '', values: [upstreamRequests], atMost: 0 },
    ],
    notes: ['on a new connection to the local agent each time'],
  })
}
