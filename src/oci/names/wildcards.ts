/** Decides whether a text matches a pattern, in which `*` is any text without a slash and `**` any text. */
export function textMatcher(pattern: string): (text: string) => boolean {
  const parts = pattern.split(/(\*+)/)
  // The texts have at most 255 characters, so backtracking over the few wildcards takes little time.
  const source = parts.map((part) => (part.startsWith('*') ? wildcard(part) : literal(part))).join('')
  const compiled = new RegExp(`^${source}$`)
  return (text) => compiled.test(text)
}

function wildcard(stars: string): string {
  return stars.length === 1 ? '[^/]*' : '.*'
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
