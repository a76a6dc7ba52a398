/**
 * What is ours in a file of TOML lies between two comments, so that it can be taken out again after other hands have
 * changed the rest. Cutting it out of a file into which it was put gives the file as it was, byte for byte.
 */

const BEGIN = '# leat: begin (agent runtime uninstall takes this out)'
const WAS = '# leat: was '
const END = '# leat: end'

const MARKED = /^[ \t]*# leat: begin[^\n]*\n([\s\S]*?)^[ \t]*# leat: end[ \t\r]*(\n|(?![\s\S]))/gm
const KEPT = /^[ \t]*# leat: was ([^\n]*)\n/gm
const ANY_MARK = /^[ \t]*# leat: (?:begin|end|was)/m

/** Whole lines. `instead` is what stood there before, to be put back. */
export function marked(lines: string, instead: string | undefined = undefined): string {
  const kept = instead === undefined ? '' : `${WAS}${instead}\n`
  return `${BEGIN}\n${lines}${kept}${END}\n`
}

/** Puts marked lines at the offset of the start of a line, or at the end. */
export function insertAt(text: string, offset: number, block: string): string {
  const before = text.slice(0, offset)
  // Only the end of a file can lack its newline; that it was missing is told by ours that is missing too.
  if (before !== '' && !before.endsWith('\n')) return `${before}\n${block.slice(0, -1)}`
  return `${before}${block}${text.slice(offset)}`
}

/** Puts marked lines in the place of one, which they remember. */
export function replaceLine(text: string, offset: number, lines: string): string {
  const newline = text.indexOf('\n', offset)
  const end = newline < 0 ? text.length : newline
  const block = marked(lines, text.slice(offset, end)).slice(0, -1)
  return text.slice(0, offset) + block + text.slice(end)
}

export interface Cut {
  readonly text: string
  /** Something of ours was there. */
  readonly found: boolean
  /** A mark has lost its partner: what is ours cannot be told from what is not. */
  readonly damaged: boolean
}

export function cutMarked(text: string): Cut {
  let rest = ''
  let end = 0
  for (const match of text.matchAll(MARKED)) {
    const [block, lines = '', newline = ''] = match
    const kept = [...lines.matchAll(KEPT)].map(([, line = '']) => line)
    rest += text.slice(end, match.index)
    end = match.index + block.length
    if (kept.length > 0) rest += kept.join('\n') + newline
    // Put at the end of a file that had no newline there: the one before it is ours too.
    else if (newline === '') rest = rest.replace(/\n$/, '')
  }
  rest += text.slice(end)
  return { text: rest, found: end > 0, damaged: ANY_MARK.test(rest) }
}

/** Offsets of the starts of lines for which `matches` says yes. */
export function lineStarts(text: string, matches: RegExp): readonly number[] {
  const starts: number[] = []
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at)
    const end = newline < 0 ? text.length : newline + 1
    if (matches.test(text.slice(at, end))) starts.push(at)
    at = end
  }
  return starts
}
