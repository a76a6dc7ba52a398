/** One challenge of `WWW-Authenticate` (RFC 9110, 11.6.1). The scheme and the names of parameters are in lower case. */
export interface Challenge {
  readonly scheme: string
  readonly parameters: ReadonlyMap<string, string>
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const PARAMETER = new RegExp(`(${TOKEN})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`, 'y')
const SCHEME = new RegExp(`(${TOKEN})(?:[ \\t]+|(?=,)|$)`, 'y')
const SEPARATOR = /[\s,]*/y
/** The other form of a challenge: one opaque token (Negotiate, NTLM). */
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))/y
const MOST_CHALLENGES = 16

function matchAt(pattern: RegExp, text: string, index: number): RegExpExecArray | null {
  pattern.lastIndex = index
  return pattern.exec(text)
}

/** Parses every challenge of a header value, in order. Malformed ones are left out. */
export function parseChallenges(text: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = []
  let index = 0
  while (challenges.length < MOST_CHALLENGES) {
    index += matchAt(SEPARATOR, text, index)?.[0].length ?? 0
    if (index >= text.length) break
    const current = challenges.at(-1)
    const parameter = matchAt(PARAMETER, text, index)
    if (parameter !== null && current !== undefined) {
      const [all, name = '', quoted, bare] = parameter
      const key = name.toLowerCase()
      const value = quoted === undefined ? (bare ?? '') : quoted.replace(/\\(.)/g, '$1')
      if (!current.parameters.has(key)) current.parameters.set(key, value)
      index += all.length
      continue
    }
    const scheme = matchAt(SCHEME, text, index)
    if (scheme !== null) {
      challenges.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters: new Map() })
      index += scheme[0].length
      const opaque = matchAt(TOKEN68, text, index)
      if (opaque !== null && matchAt(PARAMETER, text, index) === null) index += opaque[0].length
      continue
    }
    const comma = text.indexOf(',', index)
    if (comma < 0) break
    index = comma + 1
  }
  return challenges
}

/** Chooses the challenge to answer: Bearer before Basic; undefined when the registry offers neither. */
export function chooseChallenge(values: readonly string[]): Challenge | undefined {
  const all = values.flatMap((value) => parseChallenges(value))
  return (
    all.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm')) ??
    all.find(({ scheme }) => scheme === 'basic')
  )
}
