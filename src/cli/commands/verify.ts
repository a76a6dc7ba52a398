import { parseSize } from '../../config/values/size.ts'
import { plain, plural, sizeText } from '../../observe/text.ts'
import type { Rotten } from '../../schemas/upkeep-report.ts'
import { type Command, CommandError, JSON_FLAG } from '../context/command.ts'
import { outcome, upkeepFlags, withUpkeep } from '../context/upkeep.ts'
import { Progress } from '../terminal/progress.ts'

/** `agent verify`. */
export const verify: Command = {
  words: [],
  flags: [
    {
      name: 'rate',
      kind: 'text',
      help: 'read at most so much per second, such as 100MiB',
      shown: 'no limit',
    },
    ...upkeepFlags(),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent verify', what: 're-hash everything that is kept; exit code 1 if anything was rotten' },
    { line: 'agent verify --rate 100MiB', what: 'without taking the whole disk for it' },
    { line: 'agent verify --json', what: 'progress and findings as lines of JSON' },
  ],
  async run(given, terminal) {
    const bytesPerSecond = rateIn(given.values['rate'])
    const isJson = given.switches.has('json')
    const signal = terminal.stopped()
    return withUpkeep(given, terminal, async (upkeep) => {
      const progress = new Progress(terminal, { isSilent: isJson })
      try {
        const done = await outcome(upkeep.verify({ bytesPerSecond, signal }), async (line) => {
          if (isJson) await terminal.out(`${JSON.stringify(line)}\n`)
          else if (line.is === 'progress') {
            await progress.show(
              `verified ${line.blobs} of ${plural(line.ofBlobs, 'blob')}, ${sizeText(line.bytes)} of ${sizeText(line.ofBytes)}`,
            )
          } else {
            await progress.clear()
            await terminal.out(rottenText(line))
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

function rottenText({ digest, size, found, partOf }: Rotten): string {
  const owners =
    partOf.length === 0 ? 'of nothing that is known by name' : `of ${partOf.map(plain).join(', ')}`
  return `rotten  ${digest}  ${sizeText(size)}, part ${owners}; found ${plain(found)}\n`
}

function summary({ blobs, bytes, found }: { blobs: number; bytes: number; found: number }): string {
  const all = `Verified ${plural(blobs, 'blob')} with ${sizeText(bytes)}`
  if (found === 0) return `${all}: all is as it was stored.\n`
  return `${all}: ${found} ${found === 1 ? 'was' : 'were'} rotten and put aside, to be fetched again at the next request.\n`
}

function rateIn(text: string | readonly string[] | undefined): number | undefined {
  if (text === undefined) return undefined
  const bytes = typeof text === 'string' ? parseSize(text) : undefined
  if (bytes !== undefined && bytes > 0) return bytes
  throw new CommandError(`--rate is ${JSON.stringify(text)}; expected bytes per second such as 100MiB`, {
    exitCode: 2,
  })
}
