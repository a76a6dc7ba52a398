import { parseSize } from '../../../config/values/size.ts'
import { plural, sizeText } from '../../../observe/text.ts'
import { type Command, JSON_FLAG, usageError } from '../../context/command.ts'
import { resultOf, type UpkeepOperations, upkeepFlags, withUpkeep } from '../../context/upkeep.ts'
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
    ...upkeepFlags(),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent gc', what: 'evict least recently used content down to the low-water mark' },
    { line: 'agent gc --to 20GiB', what: 'evict until at most 20 GiB are left' },
    {
      line: 'agent gc --to 0 --data /var/lib/leat',
      what: 'evict all content that is not pinned, while no agent is running',
    },
  ],
  async run(given, terminal) {
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

function amount({ blobs, bytes }: { readonly blobs: number; readonly bytes: number }): string {
  return `${plural(blobs, 'blob')} (${sizeText(bytes)})`
}

function parseLimit(text: string | readonly string[] | undefined): number | undefined {
  if (text === undefined) return undefined
  const bytes = typeof text === 'string' ? parseSize(text) : undefined
  if (bytes !== undefined) return bytes
  throw usageError(`--to is ${JSON.stringify(text)}; expected a size such as 20GiB, or 0`)
}
