import { FileProblem } from '../lib/watched-file.ts'

/** Headers that the agent sets itself, or that are about the connection. */
const RESERVED =
  /^(?:host|connection|content-.*|transfer-encoding|expect|upgrade|te|trailer|keep-alive|webhook-.*)$/i
const HEADER = /^([!#$%&'*+.^_`|~\w-]{1,100}):[ \t]*([\x20-\x7e]{1,8000}?)[ \t]*$/
const MOST_HEADERS = 32

/** Reads lines such as `Authorization: Bearer …`. No error repeats a value. */
export function parseHeaderLines(text: string, path: string): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [, name, value] = HEADER.exec(line.replace(/\r$/, '')) ?? []
    if (name === undefined || value === undefined)
      throw new FileProblem(
        path,
        `line ${at + 1} of ${path} is no header; expected a name, a colon and a value`,
      )
    if (RESERVED.test(name))
      throw new FileProblem(path, `line ${at + 1} of ${path}: the agent sets ${name} itself`)
    headers[name.toLowerCase()] = value
  }
  if (Object.keys(headers).length > MOST_HEADERS)
    throw new FileProblem(path, `${path} has more than ${MOST_HEADERS} headers`)
  return headers
}
