import * as v from 'valibot'
import { RegistryReader } from '../../export/readers/registry-reader.ts'
import { StatusReport } from '../../schemas/status-report.ts'
import type { AdminTarget } from '../context/admin-target.ts'
import { callApi } from '../context/client.ts'
import { CommandError } from '../context/command.ts'
import { DATA_ALTERNATIVE } from '../context/upkeep.ts'

const { addresses, hosted } = StatusReport.entries
const Answer = v.object({ addresses, hosted })

/** The images of a running agent. */
export interface AgentImages {
  /** The caller closes it. */
  readonly reader: RegistryReader
  /** Patterns of the repositories that the agent hosts. */
  readonly hosted: readonly string[]
}

/** Reads images from the running agent whose admin API is at this address. */
export async function openAgentImages(admin: AdminTarget, signal: AbortSignal): Promise<AgentImages> {
  const status = await callApi(
    admin,
    { method: 'GET', path: '/api/v1/status', signal, alternative: DATA_ALTERNATIVE },
    Answer,
  )
  const address = status.addresses.registry
    ?.replace(/^0\.0\.0\.0:/, '127.0.0.1:')
    .replace(/^\[::\]:/, '[::1]:')
  if (address === undefined) throw new CommandError('the agent does not serve images yet; try again')
  // The status does not say whether the agent has a certificate.
  for (const scheme of ['http', 'https']) {
    const reader = new RegistryReader(new URL(`${scheme}://${address}`))
    if (await reader.answers(signal)) return { reader, hosted: status.hosted ?? [] }
    reader.close()
  }
  throw new CommandError(`the agent does not answer at its registry address ${address}; see agent doctor`)
}
