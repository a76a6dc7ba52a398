import { parseSize } from '../../../config/values/size.ts'
import { plain, plural, sizeText } from '../../../observe/text.ts'
import type { Rotten } from '../../../schemas/upkeep-report.ts'
import { type Command, JSON_FLAG, usageError } from '../../context/command.ts'
import { resultOf, upkeepFlags, withUpkeep } from '../../context/upkeep.ts'
import { Progress } from '../../terminal/progress.ts'

/** `agent verify`. */
export const verify: Command = {
  positionals: [],
  flags: [
    {
      name: 'rate',
      kind: 'text',
      help: 'limit of the reading rate per second, such as 100MiB',
      defaultText: 'no limit',
    },
    ...upkeepFlags(),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent verify', what: 're-hash all stored content; the exit code is 1 if any is corrupt' },
    { line: 'agent verify --rate 100MiB', what: 'limit the load on the disk' },
    { line: 'agent verify --json', what: 'print progress and corrupt blobs as JSON lines' },
  ],
  async run(given, terminal) {
    const bytesPerSecond = parseRate(given.values['rate'])
    const isJson = given.switches.has('json')
    const signal = terminal.stopped()
    return withUpkeep(given, terminal, async (upkeep) => {
      const progress = new Progress(terminal, { isSilent: isJson })
      try {
        const done = await resultOf(upkeep.verify({ bytesPerSecond, signal }), async (line) => {
          if (isJson) await terminal.out(`${JSON.stringify(line)}\n`)
          else if (line.is === 'progress') {
            await progress.show(
              `verified ${line.blobs} of ${plural(line.ofBlobs, 'blob')}, ${sizeText(line.bytes)} of ${sizeText(line.ofBytes)}`,
            )
          } else {
            await progress.clear()
            await terminal.out(corruptText(line))
          }
        })
        await progress.clear()
        await terminal.out(isJson ? `${JSON.stringify(done)}\n` : summary(done))
        return done.found === 0 ? 0 : 1
      } finally {
        await progress.clear()
      }
    })
  },
}

function corruptText({ digest, size, found, partOf }: Rotten): string {
  const users = partOf.length === 0 ? 'not part of a known image' : `part of ${partOf.map(plain).join(', ')}`
  return `corrupt  ${digest}  ${sizeText(size)}, ${users}; found ${plain(found)}\n`
}

function summary({ blobs, bytes, found }: { blobs: number; bytes: number; found: number }): string {
  const verified = `Verified ${plural(blobs, 'blob')} (${sizeText(bytes)})`
  if (found === 0) return `${verified}: all intact.\n`
  return `${verified}: ${found} corrupt and quarantined; the next request fetches ${found === 1 ? 'it' : 'them'} again.\n`
}

function parseRate(text: string | readonly string[] | undefined): number | undefined {
  if (text === undefined) return undefined
  const bytes = typeof text === 'string' ? parseSize(text) : undefined
  if (bytes !== undefined && bytes > 0) return bytes
  throw usageError(`--rate is ${JSON.stringify(text)}; expected bytes per second such as 100MiB`)
}
