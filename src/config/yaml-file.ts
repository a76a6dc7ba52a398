import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument } from 'yaml'
import { type Entry, quote, SettingsError, type Written } from './values/shape.ts'

/** Whose messages quote the file, and so perhaps a password that begins with a character that YAML keeps for itself. */
const QUOTING = new Set([
  'BAD_ALIAS',
  'BAD_DIRECTIVE',
  'BAD_DQ_ESCAPE',
  'TAG_RESOLVE_FAILED',
  'UNEXPECTED_TOKEN',
])

/**
 * The top-level settings of a YAML text, each with the line it stands on. Scalars stay as written: with YAML's own
 * schema the password `0123` would become the number 123, and `1e3` a thousand.
 */
export function readYaml(source: string, file: string): ReadonlyMap<string, Entry> {
  const lines = new LineCounter()
  const document = parseDocument(source, {
    schema: 'failsafe',
    lineCounter: lines,
    prettyErrors: false, // they print the line itself
    logLevel: 'error', // silent would let a second document pass
  })
  const placeAt = (offset: number): string => `${file}:${lines.linePos(offset).line}`

  const fault = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])[0]
  if (fault !== undefined) {
    throw new SettingsError(
      `${placeAt(fault.pos[0])}: ${explain(fault.code, fault.message, source, fault.pos[0])}`,
    )
  }

  const written = (node: ParsedNode | null, name: string, fallback: number): Written => {
    const offset = node?.range[0] ?? fallback
    const place = placeAt(offset)
    if (isAlias(node) || (node !== null && 'anchor' in node && node.anchor !== undefined)) {
      throw new SettingsError(
        `${place}: ${name} uses a YAML anchor or alias; quote a value that begins with & or *`,
      )
    }
    if (isMap(node)) return { place, name, value: entries(node, name) }
    if (isSeq(node)) {
      const items = node.items as readonly ParsedNode[]
      return { place, name, value: items.map((item, i) => written(item, `${name}[${i}]`, offset)) }
    }
    return { place, name, value: isScalar(node) ? String(node.value) : '' }
  }

  const entries = (node: ParsedNode, path: string): ReadonlyMap<string, Entry> => {
    const found = new Map<string, Entry>()
    if (!isMap(node)) return found
    for (const { key, value } of node.items as readonly { key: ParsedNode; value: ParsedNode | null }[]) {
      const place = placeAt(key.range[0])
      if (!isScalar(key)) throw new SettingsError(`${place}: a key must be a plain word`)
      const name = String(key.value)
      found.set(name, {
        place,
        written: written(value, path === '' ? name : `${path}.${name}`, key.range[0]),
      })
    }
    return found
  }

  if (document.contents === null) return new Map()
  if (!isMap(document.contents)) {
    if (isScalar(document.contents) && document.contents.value === '') return new Map()
    throw new SettingsError(`${placeAt(document.contents.range[0])}: expected "setting: value" lines`)
  }
  return entries(document.contents, '')
}

function explain(code: string, message: string, source: string, offset: number): string {
  if (code === 'DUPLICATE_KEY') {
    const key = /^[\w-]+/.exec(source.slice(offset, offset + 64))?.[0]
    return key === undefined ? 'a key is given twice' : `${quote(key)} is given twice; keep one`
  }
  if (code === 'MULTIPLE_DOCS') return 'a second YAML document begins here; expected one'
  const reason = QUOTING.has(code) ? '' : ` (${message.split('\n')[0]})`
  return `this is not YAML that can be read${reason}; values with special characters belong in quotes`
}
