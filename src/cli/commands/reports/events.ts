import { plain, sizeText, spanText } from '../../../observe/text.ts'
import { EventLine } from '../../../schemas/event-report.ts'
import { adminFlags, adminTarget } from '../../context/admin-target.ts'
import { interrupted, streamApi } from '../../context/client.ts'
import { type Command, CommandError, JSON_FLAG } from '../../context/command.ts'
import { givenSettings } from '../../context/settings.ts'

const SOURCES = {
  local: 'from the store',
  inflight: 'from a transfer in progress',
  peer: 'from peers',
  'object-store': 'from the object store',
  upstream: 'from upstream',
}

/** `agent events`. */
export const events: Command = {
  positionals: [],
  flags: [...adminFlags(), JSON_FLAG],
  examples: [
    { line: 'agent events', what: 'show requests of clients and transfers as they end, until Ctrl-C' },
    { line: 'agent events --json | jq .error', what: 'print a line of JSON for each' },
  ],
  async run(given, terminal) {
    const admin = await adminTarget(givenSettings(given, terminal))
    const signal = terminal.stopped()
    const lines = streamApi(admin, { method: 'GET', path: '/api/v1/events', signal }, EventLine)
    try {
      for await (const line of lines) {
        if (given.switches.has('json')) await terminal.out(`${JSON.stringify(line)}\n`)
        else if (line.is !== 'idle') await terminal.out(`${eventText(line)}\n`)
      }
    } catch (error) {
      throw signal.aborted ? interrupted(error, 'interrupted') : error
    }
    throw new CommandError('the agent has ended, so there are no more events; start it again')
  },
}

export function eventText(line: Exclude<EventLine, { is: 'idle' }>): string {
  if (line.is === 'dropped') return `${line.events} events were left out, because they were not read in time`
  const time = line.at.slice(11, 19)
  const error = line.error === null ? '' : `: ${line.error}`
  if (line.is === 'request') {
    const { method, repository, reference, code, bytes, ms, source, aborted } = line
    const from = source === null ? '' : ` ${SOURCES[source]}`
    const left = aborted ? ', the client disconnected' : ''
    const name = `${repository} ${reference.slice(0, 19)}`
    return plain(
      `${time}  ${code}  ${method} ${name}, ${sizeText(bytes)}${from} in ${spanText(ms)}${left}${error}`,
    )
  }
  const { digest, repository, size, ms, source, stored } = line
  const outcome = line.error !== null ? 'failed' : stored ? 'stored' : 'passed on, not stored'
  const from = source === null ? '' : ` from ${source}`
  return plain(
    `${time}  got  ${repository} ${digest.slice(0, 19)}, ${sizeText(size)}${from} in ${spanText(ms)}, ${outcome}${error}`,
  )
}
