import { plain, plural, sizeText } from '../../observe/text.ts'
import { type Command, JSON_FLAG } from '../context/command.ts'
import { outcome, upkeepFlags, withUpkeep } from '../context/upkeep.ts'
import { Progress } from '../terminal/progress.ts'
import { named, SUBJECTS } from './pin.ts'

/** `agent rm REF-or-DIGEST...`. */
export const rm: Command = {
  words: [SUBJECTS],
  flags: [
    { name: 'force', kind: 'switch', help: 'also what is pinned, which then no longer is', shown: undefined },
    ...upkeepFlags(),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent rm alpine:3.20', what: 'forget the tag and drop what nothing else needs' },
    { line: 'agent rm sha256:4bcf…', what: 'drop it, whoever needs it: it is fetched again when asked for' },
    { line: 'agent rm --force ghcr.io/acme/app:v1', what: 'although it is pinned' },
  ],
  async run(given, terminal) {
    const isJson = given.switches.has('json')
    const signal = terminal.stopped()
    return withUpkeep(given, terminal, async (upkeep) => {
      const progress = new Progress(terminal, { isSilent: isJson })
      try {
        const removing = upkeep.remove({ subjects: given.words, force: given.switches.has('force'), signal })
        const { is: _, ...report } = await outcome(removing, async ({ blobs, bytes }) => {
          await progress.show(`dropped ${plural(blobs, 'blob')} with ${sizeText(bytes)} so far`)
        })
        await progress.clear()
        if (isJson) {
          await terminal.out(`${JSON.stringify(report)}\n`)
          return 0
        }
        const { removed, blobs, bytes, keptBlobs, keptBytes } = report
        for (const { subject, digest, tags } of removed) {
          const others = tags.filter((tag) => tag !== subject)
          const forgotten = others.length === 0 ? '' : `, with the tag ${others.map(plain).join(', ')}`
          await terminal.out(`Removed ${named(subject, digest)}${forgotten}.\n`)
        }
        const stays =
          keptBlobs === 0
            ? ''
            : `; ${plural(keptBlobs, 'blob')} with ${sizeText(keptBytes)} stay, because others need them`
        await terminal.out(`Dropped ${plural(blobs, 'blob')} with ${sizeText(bytes)}${stays}.\n`)
        return 0
      } finally {
        await progress.clear()
      }
    })
  },
}
