import * as v from 'valibot'
import { Failure } from '../../ports/failure.ts'
import { readPages } from '../http/pages.ts'
import { failureOfStatus } from '../http/status.ts'
import type { RegistryHost } from './registry-request.ts'

const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const Page = v.object({ tags: v.optional(v.nullable(v.array(v.unknown()))) })

/** Gives the tags of one page of `tags/list`, without invalid ones; undefined when the text is not such a page. */
function parseTagPage(text: string): readonly string[] | undefined {
  const page = v.safeParse(v.pipe(v.string(), v.parseJson(), Page), text)
  if (!page.success) return undefined
  return (page.output.tags ?? []).filter((tag): tag is string => typeof tag === 'string' && TAG.test(tag))
}

/** Requests every tag of a repository, in ASCII order. */
export async function requestTags(
  host: RegistryHost,
  name: string,
  { signal }: { signal: AbortSignal },
): Promise<readonly string[]> {
  const found = new Set<string>()
  const sendFor = async (path: URL) => {
    const response = await host.send({
      method: 'GET',
      kind: 'tags',
      path,
      accept: 'application/json',
      name,
      signal,
    })
    if (response.status !== 200) throw failureOfStatus(response, host.name)
    return response
  }
  await readPages(host.urlOf(name, 'tags/list?n=1000'), sendFor, (text) => {
    const page = parseTagPage(text)
    if (page === undefined) {
      throw new Failure('unavailable', `${host.name} sent an invalid list of tags`, { source: host.name })
    }
    for (const tag of page) found.add(tag)
  })
  return [...found].sort()
}
