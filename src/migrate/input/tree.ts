/** A parsed JSON, YAML or TOML value. YAML scalars are texts. */
export type Tree = unknown
export type Table = { readonly [key: string]: Tree }

const TRUE = /^(?:true|yes|on)$/i
/** YAML's words for a value that is not set. */
const NULL = /^(?:null|~)$/i

export function isTable(value: Tree): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

/** The value at a path of keys; undefined if there is none. */
export function at(tree: Tree, ...keys: readonly string[]): Tree {
  let value = tree
  for (const key of keys) value = isTable(value) && Object.hasOwn(value, key) ? value[key] : undefined
  return value
}

/** The table at a path of keys; empty if there is none. */
export function tableAt(tree: Tree, ...keys: readonly string[]): Table {
  const value = at(tree, ...keys)
  return isTable(value) ? value : {}
}

/** A scalar as text; undefined for an empty one. */
export function text(value: Tree): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value)
  return typeof value === 'string' && value !== '' && !NULL.test(value) ? value : undefined
}

export function isYes(value: Tree): boolean {
  return value === true || (typeof value === 'string' && TRUE.test(value))
}

export function isNo(value: Tree): boolean {
  const said = text(value)
  return said !== undefined && !isYes(said)
}

/** The texts in a list, or a single text. */
export function texts(value: Tree): readonly string[] {
  return (Array.isArray(value) ? value : [value]).map(text).filter((item) => item !== undefined)
}

export function tables(value: Tree): readonly Table[] {
  return Array.isArray(value) ? value.filter(isTable) : []
}
