import { isDeepStrictEqual } from 'node:util'
import { RuntimeFailure } from '../files/failure.ts'

/** Changes only the mirrors in Docker's daemon.json: order, indentation and everything else stay as they are. */

const KEY = 'registry-mirrors'
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:\s]|[^\s"{}[\],:]+/y

interface Span {
  readonly start: number
  readonly end: number
}

interface Member extends Span {
  readonly key: string
  readonly value: Span
}

export function withDockerMirror(text: string | undefined, url: string, path: string): string {
  if (text === undefined || text.trim() === '') return `{\n  "${KEY}": ["${url}"]\n}\n`
  const settings = readSettings(text, path)
  const mirrors = settings[KEY] ?? []
  if (!Array.isArray(mirrors)) {
    throw new RuntimeFailure(`"${KEY}" in ${path} is not a list; correct it first`)
  }
  if (hasMirror(mirrors, url)) return text
  const after = addMirror(text, url)
  if (!isDeepStrictEqual(readSettings(after, path), { ...settings, [KEY]: [url, ...mirrors] })) {
    throw new RuntimeFailure(`${path} cannot be changed automatically; add "${url}" to its "${KEY}" by hand`)
  }
  return after
}

/** Removes the mirror. Returns undefined if there was no file before, and nothing else is left. */
export function withoutDockerMirror(
  text: string,
  url: string,
  { before, path }: { before: string | undefined; path: string },
): string | undefined {
  const mirrors = readSettings(text, path)[KEY]
  if (!Array.isArray(mirrors)) return text
  const members = membersOf(text)
  const member = members.findLast(({ key }) => key === KEY)
  const at = mirrors.findIndex((mirror) => sameMirror(mirror, url))
  if (member === undefined || at < 0) return text
  const elements = childrenOf(text, member.value)
  const hadKey = before !== undefined && before.trim() !== '' && KEY in readSettings(before, path)
  if (elements.length > 1 || hadKey) return removeSpan(text, elements, at)
  const rest = removeSpan(text, members, members.indexOf(member))
  return before === undefined && membersOf(rest).length === 0 ? undefined : rest
}

function hasMirror(mirrors: unknown, url: string): boolean {
  return Array.isArray(mirrors) && mirrors.some((mirror) => sameMirror(mirror, url))
}

export function readSettings(text: string, path: string): Readonly<Record<string, unknown>> {
  let settings: unknown
  try {
    settings = text.trim() === '' ? {} : JSON.parse(text)
  } catch (cause) {
    throw new RuntimeFailure(`${path} is not JSON, so Docker cannot read it either; correct it first`, {
      cause,
    })
  }
  if (typeof settings === 'object' && settings !== null && !Array.isArray(settings)) {
    return settings as Record<string, unknown>
  }
  throw new RuntimeFailure(`${path} is not a JSON object; correct it first`)
}

function sameMirror(mirror: unknown, url: string): boolean {
  return typeof mirror === 'string' && mirror.replace(/\/$/, '') === url
}

function addMirror(text: string, url: string): string {
  const members = membersOf(text)
  const member = members.findLast(({ key }) => key === KEY)
  if (member !== undefined) return addToList(text, member.value, url)
  const entry = `"${KEY}": ["${url}"]`
  const last = members.at(-1)
  const first = members[0]
  const open = text.indexOf('{')
  if (last === undefined || first === undefined) {
    const close = text.lastIndexOf('}')
    return `${text.slice(0, open + 1)}\n  ${entry}\n${text.slice(close)}`
  }
  const gap = text.slice(open + 1, first.start)
  return `${text.slice(0, last.end)},${gap === '' ? ' ' : gap}${entry}${text.slice(last.end)}`
}

function addToList(text: string, value: Span, url: string): string {
  const first = childrenOf(text, value)[0]
  // The value is an empty list, or null.
  if (first === undefined) return `${text.slice(0, value.start)}["${url}"]${text.slice(value.end)}`
  const gap = text.slice(value.start + 1, first.start)
  return `${text.slice(0, first.start)}"${url}",${gap.includes('\n') ? gap : ' '}${text.slice(first.start)}`
}

/** Removes one of several spans, with the comma and the white space between it and its neighbour. */
function removeSpan(text: string, spans: readonly Span[], at: number): string {
  const removed = spans[at]
  const next = spans[at + 1]
  const previous = spans[at - 1]
  if (removed === undefined) return text
  if (next !== undefined) return text.slice(0, removed.start) + text.slice(next.start)
  if (previous !== undefined) return text.slice(0, previous.end) + text.slice(removed.end)
  return text.slice(0, removed.start).trimEnd() + text.slice(removed.end).trimStart()
}

function membersOf(text: string): readonly Member[] {
  const object = { start: text.indexOf('{'), end: text.lastIndexOf('}') + 1 }
  const members: Member[] = []
  for (let at = object.start + 1; ; ) {
    const start = skipSpace(text, at)
    if (text[start] !== '"') return members
    const afterKey = valueEnd(text, start)
    const value = skipSpace(text, skipSpace(text, afterKey) + 1)
    const end = valueEnd(text, value)
    members.push({ key: JSON.parse(text.slice(start, afterKey)), start, end, value: { start: value, end } })
    at = skipSpace(text, end)
    if (text[at] !== ',') return members
    at += 1
  }
}

function childrenOf(text: string, list: Span): readonly Span[] {
  if (text[list.start] !== '[') return []
  const children: Span[] = []
  for (let at = list.start + 1; ; ) {
    const start = skipSpace(text, at)
    if (text[start] === ']') return children
    const end = valueEnd(text, start)
    children.push({ start, end })
    at = skipSpace(text, end)
    if (text[at] !== ',') return children
    at += 1
  }
}

function skipSpace(text: string, at: number): number {
  let next = at
  while (next < text.length && ' \t\r\n'.includes(text[next] ?? '')) next += 1
  return next
}

/** The text must be valid JSON, in which brackets match and strings end. */
function valueEnd(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; ) {
    TOKEN.lastIndex = at
    const token = TOKEN.exec(text)?.[0] ?? ' '
    at += token.length
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    if (depth === 0) return at
  }
  return text.length
}
