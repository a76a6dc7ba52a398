/**
 * Takes out of a text what could let somebody in: user names and passwords in URLs, their queries (a presigned URL is a
 * key), values of Authorization headers, tokens by their shape. A net below those who should not have written them.
 */
export function scrub(text: string): string {
  return text
    .replace(/(\b[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@"'?#]{1,2000}@/gi, '$1***@')
    .replace(/(\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s?"'<>#]{1,2000})\?[^\s"'<>]*/gi, '$1?***')
    .replace(/\b(bearer|basic|negotiate)\s+[\w.~+/=-]{3,}/gi, '$1 ***')
    .replace(/\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g, '***')
    .replace(
      /\b((?:x-)?(?:authorization|password|passwd|secret|(?:access|refresh|identity|id)?_?token|cookie|signature)["']?\s*[:=]\s*["']?)(?!\s*(?:bearer|basic)\b)[^\s"',;&]+/gi,
      '$1***',
    )
}
