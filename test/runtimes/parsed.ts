import { parse } from 'smol-toml'

/** A document as plain objects, to be compared with what is written down. */
export function parsed(toml: string): Record<string, unknown> {
  return JSON.parse(JSON.stringify(parse(toml)))
}
