import { plain, plural, sizeText } from '../../../observe/text.ts'
import { type Command, JSON_FLAG } from '../../context/command.ts'
import { resultOf, upkeepFlags, withUpkeep } from '../../context/upkeep.ts'
import { Progress } from '../../terminal/progress.ts'
import { SUBJECTS, subjectText } from './pin.ts'

/** `agent rm REF-or-DIGEST...`. */
export const rm: Command = {
  positionals: [SUBJECTS],
  flags: [
    { name: 'force', kind: 'switch', help: 'also remove pinned content', defaultText: undefined },
    ...upkeepFlags(),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent rm alpine:3.20', what: 'remove the tag, and the blobs that nothing else needs' },
    {
      line: 'agent rm sha256:4bcf…',
      what: 'remove a blob even if images need it; the next request fetches it again',
    },
    { line: 'agent rm --force ghcr.io/acme/app:v1', what: 'remove an image although it is pinned' },
  ],
  async run(given, terminal) {
    const isJson = given.switches.has('json')
    const signal = terminal.stopped()
    return withUpkeep(given, terminal, async (upkeep) => {
      const progress = new Progress(terminal, { isSilent: isJson })
      try {
        const removing = upkeep.remove({
          subjects: given.positionals,
          force: given.switches.has('force'),
          signal,
        })
        const { is: _, ...report } = await resultOf(removing, async ({ blobs, bytes }) => {
          await progress.show(`removed ${plural(blobs, 'blob')} (${sizeText(bytes)}) so far`)
        })
        await progress.clear()
        if (isJson) {
          await terminal.out(`${JSON.stringify(report)}\n`)
          return 0
        }
        const { removed, blobs, bytes, keptBlobs, keptBytes } = report
        for (const { subject, digest, tags } of removed) {
          const others = tags.filter((tag) => tag !== subject)
          const otherTags =
            others.length === 0
              ? ''
              : `, and the ${others.length === 1 ? 'tag' : 'tags'} ${others.map(plain).join(', ')}`
          await terminal.out(`Removed ${subjectText(subject, digest)}${otherTags}.\n`)
        }
        const remaining =
          keptBlobs === 0
            ? ''
            : `; ${plural(keptBlobs, 'blob')} (${sizeText(keptBytes)}) ${keptBlobs === 1 ? 'remains' : 'remain'}, needed by other images`
        await terminal.out(`Freed ${sizeText(bytes)} in ${plural(blobs, 'blob')}${remaining}.\n`)
        return 0
      } finally {
        await progress.clear()
      }
    })
  },
}
