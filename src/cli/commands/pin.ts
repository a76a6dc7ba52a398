import { plain } from '../../observe/text.ts'
import type { PinsReport } from '../../schemas/upkeep-report.ts'
import { type Command, type Invocation, JSON_FLAG, type Terminal, type Word } from '../context/command.ts'
import { upkeepFlags, withUpkeep } from '../context/upkeep.ts'

export const SUBJECTS: Word = {
  name: 'image-or-digest',
  help: 'an image such as alpine:3.20 or ghcr.io/acme/app, or a digest',
  isMany: true,
}

/** `agent pin REF-or-DIGEST...`. */
export const pin: Command = {
  words: [SUBJECTS],
  flags: [...upkeepFlags(), JSON_FLAG],
  examples: [
    { line: 'agent pin alpine:3.20', what: 'what the tag means now, and all its parts, are never evicted' },
    { line: 'agent pin sha256:4bcf…', what: 'a manifest with its parts, or a blob, by its digest' },
  ],
  run: (given, terminal) => set(given, terminal, 'pin', ['Pinned', 'was pinned already']),
}

/** `agent unpin REF-or-DIGEST...`. */
export const unpin: Command = {
  words: [SUBJECTS],
  flags: [...upkeepFlags(), JSON_FLAG],
  examples: [
    { line: 'agent unpin alpine:3.20', what: 'it may be evicted again' },
    { line: 'agent ls --blobs --json | jq -r "select(.pinned).digest"', what: 'what is pinned' },
  ],
  run: (given, terminal) => set(given, terminal, 'unpin', ['Unpinned', 'was not pinned']),
}

function set(
  given: Invocation,
  terminal: Terminal,
  what: 'pin' | 'unpin',
  [done, already]: readonly [string, string],
): Promise<0 | 1> {
  return withUpkeep(given, terminal, async (upkeep) => {
    const report = await upkeep[what](given.words)
    await terminal.out(
      given.switches.has('json') ? `${JSON.stringify(report)}\n` : text(report, done, already),
    )
    return 0
  })
}

function text({ pins }: PinsReport, done: string, already: string): string {
  return pins
    .map(({ subject, digest, changed }) =>
      changed ? `${done} ${named(subject, digest)}.\n` : `${named(subject, digest)} ${already}.\n`,
    )
    .join('')
}

export function named(subject: string, digest: string): string {
  return subject === digest ? digest : `${plain(subject)} (${digest})`
}
