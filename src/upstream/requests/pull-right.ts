import * as v from 'valibot'
import { algorithmOf, parseDigest } from '../../oci/digest.ts'
import { isManifestType } from '../../oci/media-types.ts'
import type { OnPace, WantedContent } from '../../ports/access/pull-rights.ts'
import { Failure } from '../../ports/failure.ts'
import { MANIFEST_ACCEPT, parseMediaType } from '../headers/media-type.ts'
import type { HttpResponse } from '../http/messages.ts'
import { readWhole } from '../http/read-whole.ts'
import { failureOfStatus } from '../http/status.ts'
import type { RegistryHost } from './registry-request.ts'

/** A registry that ignores `n` sends all its tags. */
const MOST_LIST_BYTES = 4 * 1024 * 1024
const TagList = v.object({ tags: v.nullable(v.array(v.unknown())) })

/**
 * Asks a host whether it gives the content. Rejects with a `Failure` if it does not, or if it answers something else: a login
 * page has the status 200, too.
 */
export async function requestPullRight(
  host: RegistryHost,
  name: string,
  content: WantedContent,
  { signal, onPace }: { signal: AbortSignal; onPace?: OnPace | undefined },
): Promise<void> {
  const response = await host.send({ ...requestFor(content), name, signal, onPace })
  if (response.status !== 200) throw failureOfStatus(response, host.name)
  try {
    if (await isAnswerAbout(content, response)) return
  } finally {
    response.body.dispose()
  }
  throw new Failure('unavailable', `${host.name} does not answer as a registry does`, { source: host.name })
}

async function isAnswerAbout(content: WantedContent, response: HttpResponse): Promise<boolean> {
  const mediaType = parseMediaType(response.headers.get('content-type'))?.toLowerCase()
  if (mediaType === 'text/html') return false
  switch (content.kind) {
    case 'manifest':
      return isManifest(content.reference, mediaType, response.headers.get('docker-content-digest'))
    case 'blob':
      return true
    case 'tags': {
      const text = (await readWhole(response.body, MOST_LIST_BYTES)).toString()
      return v.is(v.pipe(v.string(), v.parseJson(), TagList), text)
    }
  }
}

function isManifest(reference: string, mediaType: string | undefined, stated: string | undefined): boolean {
  if (stated === undefined) return mediaType !== undefined && isManifestType(mediaType)
  const digest = parseDigest(stated)
  if (digest === undefined) return false
  const asked = parseDigest(reference)
  // A registry may state the digest of another algorithm than the one that was asked for.
  return asked === undefined || algorithmOf(asked) !== algorithmOf(digest) || asked === digest
}

function requestFor(content: WantedContent) {
  switch (content.kind) {
    case 'manifest': {
      const path = `manifests/${content.reference}`
      return { method: 'HEAD', kind: 'manifest', path, accept: MANIFEST_ACCEPT } as const
    }
    case 'blob':
      return { method: 'HEAD', kind: 'blob', path: `blobs/${content.digest}` } as const
    case 'tags':
      return { method: 'GET', kind: 'tags', path: 'tags/list?n=1' } as const
  }
}
