import * as v from 'valibot'
import { RegistryReader } from '../../export/readers/registry-reader.ts'
import { StatusReport } from '../../schemas/status-report.ts'
import type { AdminTarget } from '../context/admin-target.ts'
import { callApi } from '../context/client.ts'
import { CommandError } from '../context/command.ts'
import { DATA_ALTERNATIVE } from '../context/upkeep.ts'

const Addresses = v.object({ addresses: StatusReport.entries.addresses })

/** Reads images from the running agent whose admin API is at this address. The caller closes the reader. */
export async function openAgentReader(admin: AdminTarget, signal: AbortSignal): Promise<RegistryReader> {
  const { addresses } = await callApi(
    admin,
    { method: 'GET', path: '/api/v1/status', signal, alternative: DATA_ALTERNATIVE },
    Addresses,
  )
  const address = addresses.registry?.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:')
  if (address === undefined) throw new CommandError('the agent does not serve images yet; try again')
  // The status does not say whether the agent has a certificate.
  for (const scheme of ['http', 'https']) {
    const reader = new RegistryReader(new URL(`${scheme}://${address}`))
    if (await reader.answers(signal)) return reader
    reader.close()
  }
  throw new CommandError(`the agent does not answer at its registry address ${address}; see agent doctor`)
}
