import * as v from 'valibot'
import type { Digest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import { fallbackTagOf } from '../../oci/referrers.ts'
import { Failure } from '../../ports/failure.ts'
import { MANIFEST_ACCEPT, parseMediaType } from '../headers/media-type.ts'
import type { HttpResponse } from '../http/messages.ts'
import { readPages } from '../http/pages.ts'
import { readWhole } from '../http/read-whole.ts'
import { failureOfStatus } from '../http/status.ts'
import type { RegistryHost } from './registry-request.ts'

const Index = v.object({
  schemaVersion: v.literal(2),
  manifests: v.optional(v.nullable(v.array(v.unknown()))),
})
/** The statuses with which registries without the referrers API answer; the specification says 404. */
const NO_API: ReadonlySet<number> = new Set([400, 404, 405, 406])

class NoReferrersApi extends Error {}

/** Gives the descriptors in an image index; undefined when the text is not an index. */
function parseIndex(text: string): readonly unknown[] | undefined {
  const index = v.safeParse(v.pipe(v.string(), v.parseJson(), Index), text)
  return index.success ? (index.output.manifests ?? []) : undefined
}

/** Requests the image index of the manifests whose subject is `subject`. The descriptors are those of upstream, unchanged. */
export async function requestReferrers(
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
  const sendFor = async (path: URL): Promise<HttpResponse> => {
    const response = await host.send({
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
  await readPages(host.urlOf(name, `referrers/${subject}`), sendFor, (text) => {
    const page = parseIndex(text)
    if (page === undefined) {
      throw new Failure('unavailable', `${host.name} sent referrers that are not an image index`, {
        source: host.name,
      })
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
  const path = `manifests/${fallbackTagOf(subject)}`
  const response = await host.send({
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
  // The tag may belong to an ordinary image. Then the subject has no referrers.
  return parseIndex((await readWhole(response.body, MAX_MANIFEST_BYTES)).toString()) ?? []
}
