import { Failure } from '../../ports/failure.ts'
import { nextPage } from '../headers/link.ts'
import type { Reply } from './exchange.ts'
import { readWhole } from './read-whole.ts'

const MOST_PAGES = 200
const MOST_BYTES = 16 * 1024 * 1024

/** Reads a list to its last page. `ask` requests a page, `take` receives its text. */
export async function readPages(
  first: URL,
  ask: (url: URL) => Promise<Reply>,
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
    const reply: Reply = await ask(url)
    const body = await readWhole(reply.body, MOST_BYTES - bytes)
    bytes += body.length
    take(body.toString())
    url = nextPage(reply.headers.all('link'), url)
  }
}
