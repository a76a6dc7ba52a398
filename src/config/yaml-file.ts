import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument } from 'yaml'
import { type GivenEntry, type GivenValue, nameOf, quote } from './values/format.ts'
import { readAll, SettingsError } from './values/settings-error.ts'

/** Messages of these errors quote the file, and so perhaps a password that begins with a reserved character of YAML. */
const QUOTING_ERRORS = new Set([
  'BAD_ALIAS',
  'BAD_DIRECTIVE',
  'BAD_DQ_ESCAPE',
  'TAG_RESOLVE_FAILED',
  'UNEXPECTED_TOKEN',
])

/**
 * The top-level settings of a YAML text, each with its line. Scalars stay texts: with YAML's core schema the password
 * `0123` would become the number 123, and `1e3` a thousand.
 */
export function readYaml(source: string, file: string): ReadonlyMap<string, GivenEntry> {
  const lines = new LineCounter()
  const document = parseDocument(source, {
    schema: 'failsafe',
    lineCounter: lines,
    prettyErrors: false, // Pretty errors quote the line.
    logLevel: 'error', // 'silent' would accept a second document.
  })
  const locationAt = (offset: number): string => `${file}:${lines.linePos(offset).line}`

  const faults = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])
  // Behind a mistake of syntax the parser finds others that are only its consequences.
  const syntax = faults.find(({ code }) => code !== 'DUPLICATE_KEY')
  const told = syntax === undefined ? faults : faults.slice(0, faults.indexOf(syntax) + 1)
  readAll(
    told.map(({ code, message, pos: [offset] }) => () => {
      throw new SettingsError(`${locationAt(offset)}: ${explain(code, message, source, offset)}`)
    }),
  )

  const given = (node: ParsedNode | null, name: string, keyOffset: number): GivenValue => {
    const offset = node?.range[0] ?? keyOffset
    const location = locationAt(offset)
    if (isAlias(node) || (node !== null && 'anchor' in node && node.anchor !== undefined)) {
      throw new SettingsError(
        `${location}: YAML anchors and aliases cannot be used; quote a value that begins with & or *`,
      )
    }
    if (isMap(node)) return { location, name, value: entries(node, name) }
    if (isSeq(node)) {
      const items = node.items as readonly ParsedNode[]
      return { location, name, value: items.map((item, i) => given(item, `${name}[${i}]`, offset)) }
    }
    return { location, name, value: isScalar(node) ? String(node.value) : '' }
  }

  const entries = (node: ParsedNode, path: string): ReadonlyMap<string, GivenEntry> => {
    const found = new Map<string, GivenEntry>()
    if (!isMap(node)) return found
    for (const { key, value } of node.items as readonly { key: ParsedNode; value: ParsedNode | null }[]) {
      const keyLocation = locationAt(key.range[0])
      if (!isScalar(key)) throw new SettingsError(`${keyLocation}: a key must be a plain word`)
      const name = String(key.value)
      found.set(name, {
        keyLocation,
        given: given(value, path === '' ? nameOf(name) : `${path}.${nameOf(name)}`, key.range[0]),
      })
    }
    return found
  }

  if (document.contents === null) return new Map()
  if (!isMap(document.contents)) {
    if (isScalar(document.contents) && document.contents.value === '') return new Map()
    throw new SettingsError(`${locationAt(document.contents.range[0])}: expected "setting: value" lines`)
  }
  return entries(document.contents, '')
}

function explain(code: string, message: string, source: string, offset: number): string {
  if (code === 'DUPLICATE_KEY') {
    const key = /^[\w-]+/.exec(source.slice(offset, offset + 64))?.[0]
    return key === undefined ? 'a key is given twice' : `${quote(key)} is given twice; keep one`
  }
  if (code === 'MULTIPLE_DOCS') return 'a second YAML document begins on this line; expected one'
  const reason = QUOTING_ERRORS.has(code) ? '' : ` (${message.split('\n')[0]})`
  return `this is not YAML that can be read${reason}; values with special characters belong in quotes`
}
