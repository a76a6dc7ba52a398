import { type Parsed, parsed, refused } from '../lib/parsed.ts'

/** The page of a list that a client requests; OCI distribution spec 1.1, "Listing Tags", defines the parameters. */
export interface PageRequest {
  /** The most items of the page; undefined: no limit. */
  readonly n: number | undefined
  /** The page begins after this item, which need not be in the list. */
  readonly last: string | undefined
}

export interface Page {
  readonly items: readonly string[]
  /** The `last` of the request for the next page; undefined on the last page. */
  readonly next: string | undefined
}

export function parsePageRequest(n: string | undefined, last: string | undefined): Parsed<PageRequest> {
  if (n === undefined || n === '') return parsed({ n: undefined, last })
  if (!/^\d+$/.test(n)) return refused('n must be a whole number, zero or more')
  return parsed({ n: Number(n), last })
}

/** Cuts a page out of a list in ASCII order. */
export function pageOf(sorted: readonly string[], { n, last }: PageRequest): Page {
  const from = last === undefined || last === '' ? 0 : firstAfter(sorted, last)
  const until = n === undefined ? sorted.length : Math.min(from + n, sorted.length)
  const items = sorted.slice(from, until)
  return { items, next: until < sorted.length ? items.at(-1) : undefined }
}

/**
 * Makes the `Link` header (RFC 8288) to the next page. `path` and `ns` are those of the request, so that the link leads
 * to the same repository.
 */
export function nextLink(path: string, page: { n: number; last: string; ns: string | undefined }): string {
  const ns = page.ns === undefined ? '' : `ns=${encodeURIComponent(page.ns)}&`
  return `<${path}?${ns}n=${page.n}&last=${encodeURIComponent(page.last)}>; rel="next"`
}

function firstAfter(sorted: readonly string[], last: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const item = sorted[middle]
    if (item !== undefined && item <= last) low = middle + 1
    else high = middle
  }
  return low
}
