import { setTimeout as pause } from 'node:timers/promises'
import * as v from 'valibot'
import type { Agent } from '../src/index.ts'
import type { Digest } from '../src/oci/digest.ts'
import { StatusReport } from '../src/schemas/status-report.ts'

type UnderWay = StatusReport['flights'][number]

/** Until the agent says that the transfer of it is as a test needs it: what was sent to an agent has not come to it at once. */
export async function underWay(
  agent: Agent,
  digest: Digest,
  isSo: (flight: UnderWay) => boolean,
): Promise<void> {
  const { admin } = agent.addresses
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${admin?.port}/api/v1/status`)
    const { flights } = v.parse(StatusReport, await answer.json())
    if (flights.some((flight) => flight.digest === digest && isSo(flight))) return
    await pause(5)
  }
}
