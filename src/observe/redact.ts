/**
 * Removes credentials from a text: user names and passwords in URLs, queries of URLs (a presigned URL is a credential),
 * values of Authorization headers, and JWTs by their form. Callers must not put credentials into messages at all;
 * this function removes those that a caller has overlooked.
 */
export function redact(text: string): string {
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
