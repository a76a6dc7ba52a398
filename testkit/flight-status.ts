import { setTimeout as pause } from 'node:timers/promises'
import * as v from 'valibot'
import type { Agent } from '../src/agent.ts'
import type { Digest } from '../src/oci/digest.ts'
import { StatusReport } from '../src/schemas/status-report.ts'

type FlightStatus = StatusReport['flights'][number]

/** Waits until the agent reports that the flight of the digest is as a test needs it. */
export async function untilFlight(
  agent: Agent,
  digest: Digest,
  holds: (flight: FlightStatus) => boolean,
): Promise<void> {
  const { admin } = agent.addresses
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${admin?.port}/api/v1/status`)
    const { flights } = v.parse(StatusReport, await answer.json())
    if (flights.some((flight) => flight.digest === digest && holds(flight))) return
    await pause(5)
  }
}
