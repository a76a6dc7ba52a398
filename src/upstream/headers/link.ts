import { Failure } from '../../ports/failure.ts'

const LINK = /<([^<>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^\s";,]*))*)/g
const NEXT = /;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=\s*(?:;|$)))/i

/**
 * The URL of the next page, from the `Link` headers of a page (RFC 8288). It keeps the origin of the page, because the
 * request for it carries credentials.
 */
export function nextPage(links: readonly string[], current: URL): URL | undefined {
  for (const header of links) {
    for (const [, target = '', parameters = ''] of header.matchAll(LINK)) {
      if (!NEXT.test(parameters)) continue
      let next: URL
      try {
        next = new URL(target, current)
      } catch {
        throw new Failure('unavailable', `${current.host}: the URL of the next page is invalid`, {
          source: current.host,
        })
      }
      // A registry behind a proxy that ends TLS writes `http:`, or its internal name, into its links.
      const url = new URL(next.pathname + next.search, current)
      if (url.href === current.href) {
        throw new Failure('unavailable', `${current.host}: a page names itself as the next page`, {
          source: current.host,
        })
      }
      return url
    }
  }
  return undefined
}
