import { randomUUID } from 'node:crypto'
import type { Events } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { type AddressScope, scopeOfIp } from '../upstream/options/address-scope.ts'
import type { ImageEventKind } from './options.ts'

/** Something that has happened to an image on this node, as webhooks tell it. */
export interface ImageEvent {
  readonly id: string
  readonly kind: ImageEventKind
  /** When it happened, in milliseconds since the epoch. */
  readonly at: number
  readonly repository: Repository
  /** What was removed, for `delete`. */
  readonly removed: 'tag' | 'manifest' | 'blob' | undefined
  readonly tag: string | undefined
  readonly digest: Digest | undefined
  readonly mediaType: string | undefined
  readonly size: number | undefined
  /** Where the client is; undefined when no client did it over the network. The address itself is not told. */
  readonly client: AddressScope | undefined
}

export function pullOf(event: Events['manifest.pulled'], kind: 'pull' | 'first-use'): ImageEvent {
  return { ...factsOf(event), kind, removed: undefined, tag: event.tag }
}

/** Gives one event for each tag; one without a tag for a push by digest. */
export function pushesOf(event: Events['hosted.pushed']): readonly ImageEvent[] {
  return tagsOf(event).map((tag) => ({ ...factsOf(event), kind: 'push', removed: undefined, tag }))
}

/** Gives one event for each tag that is gone; one without a tag if there was none. */
export function deletesOf(event: Events['hosted.deleted']): readonly ImageEvent[] {
  return tagsOf(event).map((tag) => ({ ...factsOf(event), kind: 'delete', removed: event.kind, tag }))
}

function tagsOf({ tags }: { readonly tags: readonly string[] }): readonly (string | undefined)[] {
  return tags.length === 0 ? [undefined] : tags
}

function factsOf({
  repository,
  digest,
  mediaType,
  size,
  client,
}: Omit<Events['hosted.deleted'], 'kind' | 'tags'>): Omit<ImageEvent, 'kind' | 'removed' | 'tag'> {
  const scope = client === undefined || client === '' ? undefined : scopeOfIp(client)
  return { id: randomUUID(), at: Date.now(), repository, digest, mediaType, size, client: scope }
}
