/**
 * In a TOML file, the own part stands between two comments, the markers, so that it can be removed after others have
 * changed the rest. Removing it from a file to which it was added restores the file byte for byte.
 */

const BEGIN = '# leat: begin (agent runtime uninstall removes this)'
const REPLACED = '# leat: was '
const END = '# leat: end'

const MARKED_BLOCK = /^[ \t]*# leat: begin[^\n]*\n([\s\S]*?)^[ \t]*# leat: end[ \t\r]*(\n|(?![\s\S]))/gm
const REPLACED_LINE = /^[ \t]*# leat: was ([^\n]*)\n/gm
const ANY_MARKER = /^[ \t]*# leat: (?:begin|end|was)/m

/** Puts markers around whole lines. `replaced` is the line that they replace, which the removal restores. */
export function withMarkers(lines: string, replaced: string | undefined = undefined): string {
  const comment = replaced === undefined ? '' : `${REPLACED}${replaced}\n`
  return `${BEGIN}\n${lines}${comment}${END}\n`
}

/** Inserts a marked block at the offset of the start of a line, or at the end. */
export function insertAt(text: string, offset: number, block: string): string {
  const before = text.slice(0, offset)
  // Only the end of a file can lack a newline. The block then lacks its last one, which tells the removal.
  if (before !== '' && !before.endsWith('\n')) return `${before}\n${block.slice(0, -1)}`
  return `${before}${block}${text.slice(offset)}`
}

/** Replaces the line at the offset with marked lines, which record it. */
export function replaceLine(text: string, offset: number, lines: string): string {
  const newline = text.indexOf('\n', offset)
  const end = newline < 0 ? text.length : newline
  const block = withMarkers(lines, text.slice(offset, end)).slice(0, -1)
  return text.slice(0, offset) + block + text.slice(end)
}

export interface MarkedRemoval {
  readonly text: string
  readonly wasFound: boolean
  /** Whether a marker lacks its counterpart, so that the own part cannot be recognised. */
  readonly isDamaged: boolean
}

export function removeMarked(text: string): MarkedRemoval {
  let rest = ''
  let end = 0
  for (const match of text.matchAll(MARKED_BLOCK)) {
    const [block, lines = '', newline = ''] = match
    const replaced = [...lines.matchAll(REPLACED_LINE)].map(([, line = '']) => line)
    rest += text.slice(end, match.index)
    end = match.index + block.length
    if (replaced.length > 0) rest += replaced.join('\n') + newline
    // The block was added to a file without a newline at the end, so the newline before the block belongs to it.
    else if (newline === '') rest = rest.replace(/\n$/, '')
  }
  rest += text.slice(end)
  return { text: rest, wasFound: end > 0, isDamaged: ANY_MARKER.test(rest) }
}

/** The offsets of the starts of all lines that match. */
export function lineStarts(text: string, pattern: RegExp): readonly number[] {
  const starts: number[] = []
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at)
    const end = newline < 0 ? text.length : newline + 1
    if (pattern.test(text.slice(at, end))) starts.push(at)
    at = end
  }
  return starts
}
