import { parse as parseToml } from 'smol-toml'
import { parseAllDocuments } from 'yaml'
import { parseJson } from '../../lib/json.ts'
import { composeProcesses, type Process, readProcess } from './process.ts'
import { isTable, type Table, type Tree } from './tree.ts'

/** A file of another tool, parsed in each way that is possible. */
export interface Document {
  /** The path as the user gave it. Some tools name a registry in it. */
  readonly path: string
  readonly json: Tree
  readonly toml: Table | undefined
  /** A table or a list. */
  readonly yaml: Tree
  /** Variables and command lines: of the services of a compose file, or of the file itself. */
  readonly processes: readonly Process[]
}

export type Format = 'json' | 'toml' | 'yaml'

const MOST_ALIASES = 100
const ENDINGS: Readonly<Record<string, Format>> = { json: 'json', toml: 'toml', yaml: 'yaml', yml: 'yaml' }

/** The format that the name of the file says; undefined if it says none. */
export function formatInName(path: string): Format | undefined {
  return ENDINGS[/\.(\w+)$/.exec(path)?.[1]?.toLowerCase() ?? '']
}

/** Whether the file can be read in this format. */
export function hasFormat(document: Document, format: Format): boolean {
  return document[format] !== undefined
}

export function readDocument(source: string, path: string): Document {
  const without = source.replace(/^\uFEFF/, '')
  const json = parseJson(without)
  const toml = json === undefined ? tomlOf(without) : undefined
  // Every JSON document is one of YAML.
  const yaml = toml === undefined ? (treeOf(json) ?? yamlOf(without)) : undefined
  const services = composeProcesses(yaml)
  return { path, json, toml, yaml, processes: services.length > 0 ? services : [readProcess(without)] }
}

function tomlOf(source: string): Table | undefined {
  try {
    const table = parseToml(source, { integersAsBigInt: 'asNeeded' })
    return Object.keys(table).length === 0 ? undefined : table
  } catch {
    return undefined
  }
}

/** Scalars stay texts, so that a password such as `0123` does not become a number. */
function yamlOf(source: string): Tree {
  try {
    const [first, ...others] = parseAllDocuments(source, {
      schema: 'failsafe',
      merge: true,
      prettyErrors: false,
      logLevel: 'silent',
    })
    if (first === undefined || !('errors' in first) || first.errors.length > 0 || others.length > 0)
      return undefined
    return treeOf(first.toJS({ maxAliasCount: MOST_ALIASES }))
  } catch {
    return undefined // An alias that expands to too much.
  }
}

function treeOf(value: Tree): Tree {
  return isTable(value) || Array.isArray(value) ? value : undefined
}
