import { X509Certificate } from 'node:crypto'

const SPIFFE = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/
/** One name of a certificate as Node writes it: unusual values are quoted as JSON texts. */
const ALTERNATIVE_NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y
const COMMON_NAME = /^[\x20-\x7e]{1,255}$/

/** Who a certificate belongs to: its SPIFFE name, or else its common name; undefined if it has neither, or several. */
export function certificateName(der: Uint8Array): string | undefined {
  let certificate: X509Certificate
  let alternativeNames: string | undefined
  try {
    certificate = new X509Certificate(der)
    // Node 24 throws for a list of names that is empty or malformed.
    alternativeNames = certificate.subjectAltName
  } catch {
    return undefined
  }
  const spiffe = urisOf(alternativeNames).filter((uri) => uri.startsWith('spiffe:'))
  if (spiffe.length > 0) {
    const [only = ''] = spiffe
    return spiffe.length === 1 && SPIFFE.test(only) ? only : undefined
  }
  const name: unknown = certificate.toLegacyObject().subject?.CN
  return typeof name === 'string' && COMMON_NAME.test(name) ? name : undefined
}

function urisOf(alternativeNames: string | undefined): readonly string[] {
  if (alternativeNames === undefined) return []
  const uris: string[] = []
  ALTERNATIVE_NAME.lastIndex = 0
  while (ALTERNATIVE_NAME.lastIndex < alternativeNames.length) {
    const [, kind, value = ''] = ALTERNATIVE_NAME.exec(alternativeNames) ?? []
    if (kind === undefined) return []
    if (kind === 'URI') uris.push(value.startsWith('"') ? value.slice(1, -1) : value)
  }
  return uris
}
