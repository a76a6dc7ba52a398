import { parse } from 'smol-toml'

/** Parses a document into plain objects, which can be compared with literals. */
export function parseDocument(toml: string): Record<string, unknown> {
  return JSON.parse(JSON.stringify(parse(toml)))
}
