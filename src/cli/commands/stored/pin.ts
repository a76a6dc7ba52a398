import { plain } from '../../../observe/text.ts'
import type { PinsReport } from '../../../schemas/upkeep-report.ts'
import {
  type Command,
  type Invocation,
  JSON_FLAG,
  type Positional,
  type Terminal,
} from '../../context/command.ts'
import { upkeepFlags, withUpkeep } from '../../context/upkeep.ts'

export const SUBJECTS: Positional = {
  name: 'image-or-digest',
  help: 'an image such as alpine:3.20 or ghcr.io/acme/app, or a digest',
  isMany: true,
}

/** `agent pin REF-or-DIGEST...`. */
export const pin: Command = {
  positionals: [SUBJECTS],
  flags: [...upkeepFlags(), JSON_FLAG],
  examples: [
    {
      line: 'agent pin alpine:3.20',
      what: 'protect what the tag refers to now, with all its parts, from eviction',
    },
    { line: 'agent pin sha256:4bcf…', what: 'protect a manifest with its parts, or a blob, by its digest' },
  ],
  run: (given, terminal) => setPins(given, terminal, 'pin', ['Pinned', 'was already pinned']),
}

/** `agent unpin REF-or-DIGEST...`. */
export const unpin: Command = {
  positionals: [SUBJECTS],
  flags: [...upkeepFlags(), JSON_FLAG],
  examples: [
    { line: 'agent unpin alpine:3.20', what: 'allow the image to be evicted again' },
    { line: 'agent ls --blobs --json | jq -r "select(.pinned).digest"', what: 'list the pinned digests' },
  ],
  run: (given, terminal) => setPins(given, terminal, 'unpin', ['Unpinned', 'was not pinned']),
}

function setPins(
  given: Invocation,
  terminal: Terminal,
  what: 'pin' | 'unpin',
  [done, already]: readonly [string, string],
): Promise<0 | 1> {
  return withUpkeep(given, terminal, async (upkeep) => {
    const report = await upkeep[what](given.positionals)
    await terminal.out(
      given.switches.has('json') ? `${JSON.stringify(report)}\n` : resultText(report, done, already),
    )
    return 0
  })
}

function resultText({ pins }: PinsReport, done: string, already: string): string {
  return pins
    .map(({ subject, digest, changed, pinnedBy }) => {
      const what = subjectText(subject, digest)
      const others = pinnedBy.map(plain).filter((name) => name !== subject)
      const still = others.length === 0 ? '' : ` It is pinned by ${others.join(', ')}.`
      return changed ? `${done} ${what}.${still}\n` : `${what} ${already}.${still}\n`
    })
    .join('')
}

export function subjectText(subject: string, digest: string): string {
  return subject === digest ? digest : `${plain(subject)} (${digest})`
}
