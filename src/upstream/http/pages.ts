import { Failure } from '../../ports/failure.ts'
import { nextPage } from '../headers/link.ts'
import type { HttpResponse } from './messages.ts'
import { readWhole } from './read-whole.ts'

/** Bounds the pages of a list: these have 200,000 entries, with 1000 on each page. */
const MOST_PAGES = 200
/** Bounds the bytes of all pages together. */
const MOST_BYTES = 16 * 1024 * 1024

/** Reads a list to its last page. `ask` requests a page, `take` receives its text. */
export async function readPages(
  first: URL,
  ask: (url: URL) => Promise<HttpResponse>,
  take: (text: string) => void,
): Promise<void> {
  let url: URL | undefined = first
  let bytes = 0
  for (let pages = 0; url !== undefined; pages += 1) {
    if (pages === MOST_PAGES) {
      throw new Failure('too-large', `${first.host}: the list has more than ${MOST_PAGES} pages`, {
        source: first.host,
      })
    }
    const response: HttpResponse = await ask(url)
    const body = await readWhole(response.body, MOST_BYTES - bytes)
    bytes += body.length
    take(body.toString())
    url = nextPage(response.headers.all('link'), url)
  }
}
