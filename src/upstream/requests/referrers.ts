import * as v from 'valibot'
import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import { MANIFEST_ACCEPT, parseMediaType } from '../headers/media-type.ts'
import type { HttpResponse } from '../http/messages.ts'
import { readPages } from '../http/pages.ts'
import { readWhole } from '../http/read-whole.ts'
import { failureOfStatus } from '../http/status.ts'
import { MANIFEST_LIMIT } from './bring.ts'
import type { RegistryHost } from './question.ts'

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
const Index = v.object({
  schemaVersion: v.literal(2),
  manifests: v.optional(v.nullable(v.array(v.unknown()))),
})
/** The API is newer than many registries, which say so in their own ways. */
const NO_API: ReadonlySet<number> = new Set([400, 404, 405, 406])

class NoReferrersApi extends Error {}

/** The descriptors in an image index; undefined when it is none. */
function parseIndex(text: string): readonly unknown[] | undefined {
  const index = v.safeParse(v.pipe(v.string(), v.parseJson(), Index), text)
  return index.success ? (index.output.manifests ?? []) : undefined
}

/** The tag under which registries without the API keep the same list (distribution spec, Referrers Tag Schema). */
function fallbackTag(subject: Digest): string {
  return `${algorithmOf(subject)}-${hexOf(subject).slice(0, 64)}`
}

/** An image index of what refers to `subject`; descriptors are kept as upstream wrote them. */
export async function referrersAt(
  host: RegistryHost,
  name: string,
  subject: Digest,
  { signal }: { signal: AbortSignal },
): Promise<Uint8Array> {
  let descriptors: readonly unknown[]
  try {
    descriptors = await fromApi(host, name, subject, { signal })
  } catch (error) {
    if (!(error instanceof NoReferrersApi)) throw error
    descriptors = await fromTag(host, name, subject, { signal })
  }
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: descriptors }))
}

async function fromApi(
  host: RegistryHost,
  name: string,
  subject: Digest,
  { signal }: { signal: AbortSignal },
): Promise<readonly unknown[]> {
  const found: unknown[] = []
  const ask = async (path: URL): Promise<HttpResponse> => {
    const response = await host.ask({
      method: 'GET',
      kind: 'referrers',
      path,
      accept: OCI_INDEX,
      name,
      signal,
    })
    const isIndex = parseMediaType(response.headers.get('content-type')) === OCI_INDEX
    if (NO_API.has(response.status) || (response.status === 200 && !isIndex)) {
      response.body.dispose()
      throw new NoReferrersApi()
    }
    if (response.status !== 200) throw failureOfStatus(response, host.name)
    return response
  }
  await readPages(host.urlOf(name, `referrers/${subject}`), ask, (text) => {
    const page = parseIndex(text)
    if (page === undefined) {
      throw new Failure('unavailable', `${host.name} sent referrers that are no index`, { source: host.name })
    }
    for (const descriptor of page) found.push(descriptor)
  })
  return found
}

async function fromTag(
  host: RegistryHost,
  name: string,
  subject: Digest,
  { signal }: { signal: AbortSignal },
): Promise<readonly unknown[]> {
  const path = `manifests/${fallbackTag(subject)}`
  const response = await host.ask({
    method: 'GET',
    kind: 'referrers',
    path,
    accept: MANIFEST_ACCEPT,
    name,
    signal,
  })
  if (response.status === 404) {
    response.body.dispose()
    return []
  }
  if (response.status !== 200) throw failureOfStatus(response, host.name)
  // Something else may have been tagged so; then nothing refers to it.
  return parseIndex((await readWhole(response.body, MANIFEST_LIMIT)).toString()) ?? []
}
