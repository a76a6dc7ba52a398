import { loadSetting } from '../../config/load.ts'
import { readProxies } from '../../config/proxies.ts'
import type { Expired } from '../../object-store/expire.ts'
import { plain, plural, sizeText } from '../../observe/text.ts'
import { CommandError, type Invocation, type Terminal, usageError } from '../context/command.ts'
import { givenSettings } from '../context/settings.ts'
import { asCommandError } from '../context/upkeep.ts'

interface Totals {
  tags: number
  links: number
  blobs: number
  bytes: number
}

/** `agent gc --object-store`: works on the bucket itself, whether an agent is running or not. */
export async function expireBucket(given: Invocation, terminal: Terminal): Promise<0> {
  for (const flag of ['to', 'data']) {
    if (given.values[flag] !== undefined) throw usageError(`--${flag} is not for --object-store`)
  }
  if (given.switches.has('hosted')) throw usageError('--hosted and --object-store are two commands')
  const objectStore = await loadSetting('objectStore', givenSettings(given, terminal))
  if (objectStore === undefined)
    throw new CommandError('the settings have no objectStore: give the file of the agent with --config')
  if (objectStore.layout === 'oci-registry')
    throw new CommandError(
      'a bucket with the layout oci-registry is only read, and nothing is removed from it',
    )
  const isJson = given.switches.has('json')
  const isDryRun = given.switches.has('dry-run')
  // Loaded here only, because no other command signs requests.
  const { expireObjectStore } = await import('../../object-store/expire.ts')
  const lines = expireObjectStore(
    { ...objectStore, environment: terminal.env },
    {
      userAgent: `leat/${terminal.version}`,
      proxies: readProxies(terminal.env),
      isDryRun,
      signal: terminal.stopped(),
    },
  )
  const totals: Totals = { tags: 0, links: 0, blobs: 0, bytes: 0 }
  try {
    for await (const line of lines) {
      count(totals, line)
      await terminal.out(isJson ? `${JSON.stringify(line)}\n` : `${plain(lineText(line))}\n`)
    }
  } catch (error) {
    throw asCommandError(error)
  }
  await terminal.out(
    isJson
      ? `${JSON.stringify(totals)}\n`
      : `${isDryRun ? 'Would remove' : 'Removed'} ${totalsText(totals)}.\n`,
  )
  return 0
}

function count(totals: Totals, line: Expired): void {
  if (line.is === 'tag') totals.tags += 1
  if (line.is === 'unlinked') totals.links += 1
  if (line.is !== 'freed') return
  totals.blobs += 1
  totals.bytes += line.size
}

function lineText(line: Expired): string {
  switch (line.is) {
    case 'tag':
      return `tag ${line.repository}:${line.tag}: ${line.why}`
    case 'unlinked':
      return `${line.kind} ${line.digest} of ${line.repository}: ${line.why}`
    case 'freed':
      return `object of ${line.digest}, ${sizeText(line.size)}: ${line.why}`
    case 'skipped':
      return `${line.repository} is left as it is: ${line.why}`
  }
}

function totalsText({ tags, links, blobs, bytes }: Totals): string {
  const named = `${plural(tags, 'tag')}, and ${plural(links, 'content')} of repositories`
  return `${named}; ${plural(blobs, 'object')} (${sizeText(bytes)}) of the bucket`
}
