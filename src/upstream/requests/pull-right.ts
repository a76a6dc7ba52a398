import type { WantedContent } from '../../ports/access/pull-rights.ts'
import { MANIFEST_ACCEPT } from '../headers/media-type.ts'
import { failureOfStatus } from '../http/status.ts'
import type { RegistryHost } from './registry-request.ts'

/** Asks a host whether it gives the content. Rejects with a `Failure` if it does not. */
export async function requestPullRight(
  host: RegistryHost,
  name: string,
  content: WantedContent,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const response = await host.send({ ...requestFor(content), name, signal })
  if (response.status !== 200) throw failureOfStatus(response, host.name)
  response.body.dispose()
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
