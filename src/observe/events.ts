import { channel } from 'node:diagnostics_channel'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { PeerEvents } from './peer-events.ts'

/**
 * Why the registry API refused or disconnected a client. These are values of a metric label:
 *
 * - `connections`: too many connections were open, and the client's was idle or the newest
 * - `answers`: too many responses were in progress
 * - `seats`: all send slots were in use, and none became free in time
 * - `slow`: the client read its body too slowly while others waited for a send slot
 * - `stalled`: the client read nothing for too long
 * - `streams`: the client opened more concurrent HTTP/2 streams than allowed
 * - `resets`: the client reset most of the HTTP/2 streams that it opened
 * - `frames`: the client sent more HTTP/2 frames than its requests need
 * - `pipelined`: the client pipelined too many requests
 * - `malformed`: the client sent bytes that are not HTTP
 * - `body`: the client sent a request body that is too large
 */
export const REJECTIONS = [
  'connections',
  'answers',
  'seats',
  'slow',
  'stalled',
  'streams',
  'resets',
  'frames',
  'pipelined',
  'malformed',
  'body',
] as const

export type Rejection = (typeof REJECTIONS)[number]

interface ManifestEvent {
  readonly repository: Repository
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  /** The address of the client; undefined when no client did it over the network. Subscribers pass on its scope only. */
  readonly client: string | undefined
}

/** The events that the agent publishes. The log, the metrics and the records subscribe; no transfer waits for them. */
export interface Events extends PeerEvents {
  'request.ended': {
    readonly route: string
    readonly method: string
    readonly code: number
    readonly ms: number
    readonly bytes: number
    /** Where the body came from; undefined for a response without content, such as an error. */
    readonly source: 'local' | 'inflight' | 'peer' | 'object-store' | 'upstream' | undefined
    readonly repository: Repository | undefined
    /** The requested tag or digest. */
    readonly reference: string | undefined
    readonly cacheStatus: string | undefined
    readonly protocol: 'http/1.1' | 'h2'
    /** The client disconnected before the end of the response. */
    readonly aborted: boolean
    readonly error: string | undefined
    /** The host, peer or local source whose failure is the error. */
    readonly failedSource: string | undefined
    /** As in `ManifestEvent`. */
    readonly client: string | undefined
  }
  'http.rejected': { readonly reason: Rejection }
  /** Too many wrong logins came from an address, which has to wait. */
  'access.slowed': { readonly address: string }
  /** A client has received a whole manifest. `tag` is undefined when it has asked by digest. */
  'manifest.pulled': ManifestEvent & { readonly tag: string | undefined }
  /** A manifest is in a hosted repository, durably. `tags`: those that refer to it since this push. */
  'hosted.pushed': ManifestEvent & { readonly tags: readonly string[] }
  /** A tag, a manifest with all its tags, or a blob is in a hosted repository no more. */
  'hosted.deleted': {
    readonly repository: Repository
    readonly kind: 'tag' | 'manifest' | 'blob'
    /** The tags that are gone. */
    readonly tags: readonly string[]
    /** What was removed, or what the tag referred to; undefined when that is not known. */
    readonly digest: Digest | undefined
    readonly mediaType: string | undefined
    readonly size: number | undefined
    /** As in `ManifestEvent`. */
    readonly client: string | undefined
  }
  /** A client of a redirected host was sent on. `target`: `upstream`, or the bucket as the settings name it. */
  'redirect.answered': {
    readonly host: string
    readonly target: string
    readonly kind: 'manifest' | 'blob' | 'referrers' | 'tags'
    readonly repository: Repository
  }
  /** A bucket was asked for a blob of a redirected host. After `failed` it is not asked for a moment. */
  'redirect.looked-up': {
    readonly bucket: string
    readonly outcome: 'found' | 'missing' | 'failed'
    readonly problem: string | undefined
  }
  'flight.started': {
    readonly digest: Digest
    readonly kind: 'manifest' | 'blob'
    readonly repository: Repository
    readonly resumedAt: number
  }
  /** An attempt of one source within a flight has ended. */
  'flight.attempted': {
    readonly digest: Digest
    readonly source: string
    readonly sourceKind: 'peer' | 'object-store' | 'upstream'
    readonly bytes: number
    readonly ms: number
    /** undefined when the source delivered everything that was missing. */
    readonly error: Error | undefined
  }
  'flight.ended': {
    readonly digest: Digest
    readonly kind: 'manifest' | 'blob'
    readonly repository: Repository
    readonly size: number
    readonly ms: number
    readonly waiters: number
    /** The source of the last byte. */
    readonly source: string | undefined
    /** False without an `error`: the content passed through to the readers, and the store does not have it. */
    readonly isStored: boolean
    /** Why the store does not have it. */
    readonly passThroughReason: string | undefined
    readonly error: Error | undefined
  }
  'upstream.answered': {
    readonly host: string
    readonly kind: 'manifest' | 'blob' | 'tags' | 'referrers' | 'token' | 'ping'
    readonly method: string
    /** undefined when there was no response. */
    readonly status: number | undefined
    readonly ms: number
  }
  'upstream.quota': {
    readonly host: string
    readonly limit: number | undefined
    readonly remaining: number
    readonly windowSeconds: number | undefined
  }
  /** A host has answered 429 to this node or to a peer: this node sends it no request of this kind for `forMs`. */
  'upstream.limited': {
    readonly host: string
    readonly kind: string
    readonly forMs: number
    readonly isFromPeer: boolean
  }
  'upstream.circuit': { readonly host: string; readonly open: boolean; readonly reason: string }
  /** After repeated failures the bucket is not asked for a while, or is asked again. */
  'object-store.paused': { readonly bucket: string; readonly isPaused: boolean; readonly reason: string }
  /** The bucket has a content: its bytes begin after `ms`. */
  'object-store.answered': { readonly bucket: string; readonly ms: number }
  /** A content is in the bucket. `bytes`: how many were sent; none when its object was there. */
  'object-store.uploaded': {
    readonly bucket: string
    readonly digest: Digest
    readonly bytes: number
    readonly ms: number
  }
  /** Uploads fail, and are tried again; without a problem they succeed again. */
  'object-store.uploads-failing': { readonly bucket: string; readonly problem: string | undefined }
  /** An image is completely in the bucket, or could not be copied. `sentBytes`: what was not there already. */
  'copy.ended': {
    readonly bucket: string
    readonly image: string
    readonly cause: 'schedule' | 'notification' | 'pulls'
    readonly bytes: number
    readonly sentBytes: number
    readonly ms: number
    readonly error: string | undefined
  }
  /** Finding what is due, or dropping what nobody pulls, fails; with undefined it succeeds again. */
  'copies.failing': {
    readonly bucket: string
    readonly work: 'schedule' | 'drop'
    readonly problem: string | undefined
  }
  /** Nobody has pulled a copied image for long: its tag is in the bucket no more. */
  'copy.dropped': { readonly bucket: string; readonly image: string }
  /** A local source could not be read, and the others were asked instead. */
  'source.failed': { readonly source: string; readonly error: Error }
  /** `source` has an image that is not served, because a source before it has another one under the same name. */
  'source.hidden': {
    readonly source: string
    readonly image: string
    readonly digest: Digest
    readonly servedBy: string
    readonly servedDigest: Digest
  }
  /** An event for a webhook was sent, or dropped: `full` when too many waited, `late` after too many attempts or too long. */
  'webhook.ended': {
    readonly webhook: string
    readonly outcome: 'delivered' | 'full' | 'refused' | 'late' | 'stopped'
    /** Why the last attempt has failed. */
    readonly problem: string | undefined
  }
  /** An attempt to send an event has failed; the next one follows. */
  'webhook.failed': { readonly webhook: string; readonly problem: string; readonly nextInMs: number }
  /** A file that the settings name has changed so that it cannot be used, or can be used again. Its last good content is used. */
  'file.checked': { readonly file: string; readonly problem: string | undefined }
  /** The settings file was read again: `changed` settings are in use, and those that `needRestart` are not. */
  'settings.reloaded': { readonly changed: readonly string[]; readonly needRestart: readonly string[] }
  'verify.failed': {
    readonly digest: Digest
    readonly found: string
    readonly source: string
    readonly sourceKind: 'peer' | 'object-store' | 'upstream' | 'disk'
  }
  /** A content of hosted repositories is not what was pushed, or is gone: somebody has to push it again. */
  'hosted.lost': { readonly digest: Digest; readonly repositories: readonly Repository[] }
  /**
   * The agent has collected the garbage of hosted repositories: `links` contents left a repository, and `blobs` the store.
   * `error`: why the collection, or one repository, was given up.
   */
  'hosted.collected': {
    readonly tags: number
    readonly links: number
    readonly blobs: number
    readonly bytes: number
    readonly error: string | undefined
  }
  'tag.revalidated': {
    readonly repository: Repository
    readonly tag: string
    readonly outcome: 'same' | 'moved' | 'new' | 'stale-if-error' | 'gone'
  }
  /** The index was damaged: LevelDB repaired it, or the store rebuilt it from the blobs on disk. */
  'store.repaired': {
    readonly folder: string
    readonly how: 'repaired' | 'rebuilt'
    readonly reason: string
  }
  /** The journal of what is hosted could not be written; it is tried again within a minute. */
  'store.journalFailed': { readonly path: string; readonly why: string }
  'store.committed': { readonly digest: Digest; readonly size: number }
  /** A blob left the store: to make room, because of `agent gc`, or because of `agent rm`. */
  'store.evicted': {
    readonly digest: Digest
    readonly size: number
    readonly reason: 'room' | 'gc' | 'removed'
  }
  /** The warming of an image has ended: all of it is stored, or `error` says why not. */
  'warm.ended': {
    readonly image: string
    readonly digest: Digest | undefined
    readonly bytes: number
    readonly ms: number
    readonly error: string | undefined
  }
  'store.recovered': {
    readonly blobs: number
    readonly bytes: number
    readonly adopted: number
    readonly dropped: number
    readonly partials: number
    readonly ms: number
  }
}

const channels = new Map<string, ReturnType<typeof channel>>()

function channelOf(name: string) {
  let existing = channels.get(name)
  if (existing === undefined) {
    existing = channel(`leat:${name}`)
    channels.set(name, existing)
  }
  return existing
}

export function publish<Name extends keyof Events>(name: Name, event: Events[Name]): void {
  const target = channelOf(name)
  if (target.hasSubscribers) target.publish(event)
}

/** Returns the function that ends the subscription. */
export function subscribe<Name extends keyof Events>(
  name: Name,
  listener: (event: Events[Name]) => void,
): () => void {
  const target = channelOf(name)
  const onMessage = (event: unknown): void => listener(event as Events[Name])
  target.subscribe(onMessage)
  return () => target.unsubscribe(onMessage)
}
