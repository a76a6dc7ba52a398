import { parseSize } from '../../config/values/size.ts'
import { plural, sizeText } from '../../observe/text.ts'
import { type Command, CommandError, JSON_FLAG } from '../context/command.ts'
import { outcome, type Upkeeping, upkeepFlags, withUpkeep } from '../context/upkeep.ts'
import { Progress } from '../terminal/progress.ts'

/** `agent gc`. */
export const gc: Command = {
  words: [],
  flags: [
    {
      name: 'to',
      kind: 'text',
      help: 'how much may be left, such as 20GiB',
      shown: '90% of --max-bytes',
    },
    ...upkeepFlags(),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent gc', what: 'evict what was not used for longest, down to the low-water mark' },
    { line: 'agent gc --to 20GiB', what: 'until at most so much is left' },
    {
      line: 'agent gc --to 0 --data /var/lib/leat',
      what: 'all that is not pinned, while no agent is running',
    },
  ],
  async run(given, terminal) {
    const toBytes = sizeIn(given.values['to'])
    const isJson = given.switches.has('json')
    const signal = terminal.stopped()
    const work = async (upkeep: Upkeeping): Promise<0> => {
      const progress = new Progress(terminal, { isSilent: isJson })
      try {
        const done = await outcome(upkeep.gc({ toBytes, signal }), async (line) => {
          await progress.show(`evicted ${amount(line)} so far`)
        })
        await progress.clear()
        const { is: _, ...report } = done
        const left = amount({ blobs: done.leftBlobs, bytes: done.leftBytes })
        await terminal.out(
          isJson
            ? `${JSON.stringify(report)}\n`
            : done.blobs === 0
              ? `Nothing had to go, or could; ${left} are kept.\n`
              : `Evicted ${amount(done)}; ${left} are kept.\n`,
        )
        return 0
      } finally {
        await progress.clear()
      }
    }
    return withUpkeep(given, terminal, work, { isBounded: true })
  },
}

function amount({ blobs, bytes }: { readonly blobs: number; readonly bytes: number }): string {
  return `${plural(blobs, 'blob')} with ${sizeText(bytes)}`
}

function sizeIn(text: string | readonly string[] | undefined): number | undefined {
  if (text === undefined) return undefined
  const bytes = typeof text === 'string' ? parseSize(text) : undefined
  if (bytes !== undefined) return bytes
  throw new CommandError(`--to is ${JSON.stringify(text)}; expected a size such as 20GiB, or 0`, {
    exitCode: 2,
  })
}
