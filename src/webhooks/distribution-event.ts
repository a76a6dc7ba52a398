import { repositoryKey } from '../oci/names/repository.ts'
import type { ImageEvent } from './image-event.ts'

export const DISTRIBUTION_MEDIA_TYPE = 'application/vnd.docker.distribution.events.v1+json'

const METHODS = { pull: 'GET', 'first-use': 'GET', push: 'PUT', delete: 'DELETE' } as const

/** Writes an image event as the registry of the distribution project notifies of it. `actor` is always empty. */
export function distributionEventBody(event: ImageEvent, node: string): string {
  const { id, kind, at, tag, digest, mediaType, size } = event
  return JSON.stringify({
    events: [
      {
        id,
        timestamp: new Date(at).toISOString(),
        action: kind,
        target: { mediaType, digest, size, length: size, repository: repositoryKey(event.repository), tag },
        request: { id, method: METHODS[kind] },
        actor: {},
        source: { addr: node },
      },
    ],
  })
}
