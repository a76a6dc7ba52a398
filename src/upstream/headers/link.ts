import { Failure } from '../../ports/failure.ts'

const LINK = /<([^<>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^\s";,]*))*)/g
const NEXT = /;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=\s*(?:;|$)))/i

/** The page after this one, from its `Link` headers (RFC 8288). It has to be at the same origin: credentials go there. */
export function nextPage(links: readonly string[], current: URL): URL | undefined {
  for (const header of links) {
    for (const [, target = '', parameters = ''] of header.matchAll(LINK)) {
      if (!NEXT.test(parameters)) continue
      let next: URL
      try {
        next = new URL(target, current)
      } catch {
        throw new Failure('unavailable', `${current.host}: the next page is not a URL`, {
          source: current.host,
        })
      }
      // A registry behind a proxy that ends TLS writes http: into its links, or a name of its own.
      const here = new URL(next.pathname + next.search, current)
      if (here.href === current.href) {
        throw new Failure('unavailable', `${current.host}: a page that is its own next`, {
          source: current.host,
        })
      }
      return here
    }
  }
  return undefined
}
