import { parseSize } from '../../../config/values/size.ts'
import { plain, plural, sizeText } from '../../../observe/text.ts'
import type { Collected, HostedGcLine } from '../../../schemas/upkeep-report.ts'
import { type Command, type Invocation, JSON_FLAG, type Terminal, usageError } from '../../context/command.ts'
import { resultOf, type UpkeepOperations, upkeepFlags, withUpkeep } from '../../context/upkeep.ts'
import { expireBucket } from '../../stored/expire-bucket.ts'
import { Progress } from '../../terminal/progress.ts'

/** `agent gc`. */
export const gc: Command = {
  positionals: [],
  flags: [
    {
      name: 'to',
      kind: 'text',
      help: 'evict until at most this much is left, such as 20GiB',
      defaultText: '90% of --max-bytes',
    },
    {
      name: 'hosted',
      kind: 'switch',
      help: 'remove what no tag of a hosted repository needs, and the tags that no rule of hostedRetention keeps',
      defaultText: undefined,
    },
    {
      name: 'object-store',
      kind: 'switch',
      help: 'remove from the bucket of objectStore what no tag in it needs, and the tags that no rule of objectStore.expire keeps; needs the settings file and the credentials of the agent',
      defaultText: undefined,
    },
    {
      name: 'dry-run',
      kind: 'switch',
      help: 'with --hosted or --object-store: only name what would be removed, and why',
      defaultText: undefined,
    },
    ...upkeepFlags(),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent gc', what: 'evict least recently used content down to the low-water mark' },
    { line: 'agent gc --to 20GiB', what: 'evict until at most 20 GiB are left' },
    { line: 'agent gc --hosted --dry-run', what: 'name what of the hosted repositories nobody needs' },
    { line: 'agent gc --object-store --dry-run', what: 'name what of the bucket no tag needs' },
    {
      line: 'agent gc --to 0 --data /var/lib/leat',
      what: 'evict all content that is neither pinned nor hosted, while no agent is running',
    },
  ],
  async run(given, terminal) {
    if (given.switches.has('object-store')) return expireBucket(given, terminal)
    if (given.switches.has('hosted')) return collectHosted(given, terminal)
    if (given.switches.has('dry-run')) throw usageError('--dry-run is for --hosted and --object-store')
    const toBytes = parseLimit(given.values['to'])
    const isJson = given.switches.has('json')
    const signal = terminal.stopped()
    const work = async (upkeep: UpkeepOperations): Promise<0> => {
      const progress = new Progress(terminal, { isSilent: isJson })
      try {
        const done = await resultOf(upkeep.gc({ toBytes, signal }), async (line) => {
          await progress.show(`evicted ${amount(line)} so far`)
        })
        await progress.clear()
        const { is: _, ...report } = done
        const left = amount({ blobs: done.leftBlobs, bytes: done.leftBytes })
        await terminal.out(
          isJson
            ? `${JSON.stringify(report)}\n`
            : done.blobs === 0
              ? `Nothing to evict; ${left} remain.\n`
              : `Evicted ${amount(done)}; ${left} remain.\n`,
        )
        return 0
      } finally {
        await progress.clear()
      }
    }
    return withUpkeep(given, terminal, work, { hasLimit: true })
  },
}

async function collectHosted(given: Invocation, terminal: Terminal): Promise<0 | 1> {
  if (given.values['to'] !== undefined) throw usageError('--to is not for --hosted')
  const isJson = given.switches.has('json')
  const isDryRun = given.switches.has('dry-run')
  const signal = terminal.stopped()
  return withUpkeep(given, terminal, async (upkeep) => {
    const progress = new Progress(terminal, { isSilent: isJson })
    try {
      const done = await resultOf(upkeep.collectHosted({ isDryRun, signal }), async (line) => {
        if (line.is === 'progress') {
          await progress.show(`${totalsText(line)} so far`)
          return
        }
        await progress.clear()
        await terminal.out(isJson ? `${JSON.stringify(line)}\n` : `${collectedText(line)}\n`)
      })
      await progress.clear()
      const { is: _, ...totals } = done
      const verb = isDryRun ? 'Would remove' : 'Removed'
      await terminal.out(isJson ? `${JSON.stringify(totals)}\n` : `${verb} ${totalsText(done)}.\n`)
      return 0
    } finally {
      await progress.clear()
    }
  })
}

function collectedText(line: Collected): string {
  switch (line.is) {
    case 'tag':
      return plain(`tag ${line.repository}:${line.tag}: ${line.why}`)
    case 'unlinked':
      return plain(`${line.kind} ${line.digest} of ${line.repository}, ${sizeText(line.size)}: ${line.why}`)
    case 'freed':
      return plain(`stored ${line.kind} ${line.digest}, ${sizeText(line.size)}: ${line.why}`)
    case 'skipped':
      return plain(`${line.repository} is left as it is: ${line.why}`)
  }
}

function totalsText({
  tags,
  links,
  blobs,
  bytes,
}: Omit<Extract<HostedGcLine, { is: 'done' }>, 'is'>): string {
  const named = `${plural(tags, 'tag')}, and ${plural(links, 'content')} of repositories`
  return `${named}; ${amount({ blobs, bytes })} of the store`
}

function amount({ blobs, bytes }: { readonly blobs: number; readonly bytes: number }): string {
  return `${plural(blobs, 'blob')} (${sizeText(bytes)})`
}

function parseLimit(text: string | readonly string[] | undefined): number | undefined {
  if (text === undefined) return undefined
  const bytes = typeof text === 'string' ? parseSize(text) : undefined
  if (bytes !== undefined) return bytes
  throw usageError(`--to is ${JSON.stringify(text)}; expected a size such as 20GiB, or 0`)
}
