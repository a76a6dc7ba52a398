import { channel } from 'node:diagnostics_channel'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'

/**
 * Why a client of the registry API was refused, or cut off, for what it takes of this agent:
 *
 * - `connections`: there were too many, and its own was idle, or the newest
 * - `answers`: too many answers were under way
 * - `seats`: too many bodies were being sent, and none ended in time
 * - `slow`: it took its body too slowly while others waited
 * - `stalled`: it took nothing for too long
 * - `streams`: it opened more HTTP/2 streams at once than it may
 * - `resets`: it reset most of the HTTP/2 streams that it opened
 * - `frames`: it sent more HTTP/2 frames than its requests need
 * - `pipelined`: it sent too many requests ahead of their answers
 * - `malformed`: it sent what is not HTTP
 * - `body`: it sent a request body that is too large
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

/** The facts that the agent makes known. Log, metrics and journal listen; nothing in the way of a byte waits for them. */
export interface Events {
  'request.ended': {
    readonly route: string
    readonly method: string
    readonly code: number
    readonly ms: number
    readonly bytes: number
    /** Where the body came from; undefined when there was none to come from anywhere. */
    readonly source: 'local' | 'inflight' | 'peer' | 'upstream' | undefined
    readonly repository: Repository | undefined
    /** The tag or digest asked for. */
    readonly reference: string | undefined
    readonly cacheStatus: string | undefined
    readonly protocol: 'http/1.1' | 'h2'
    /** The client went away before the end. */
    readonly aborted: boolean
    readonly error: string | undefined
  }
  'http.rejected': { readonly reason: Rejection }
  'flight.started': {
    readonly digest: Digest
    readonly kind: 'manifest' | 'blob'
    readonly repository: Repository
    readonly resumedAt: number
  }
  /** One source was tried within a flight and is done with. */
  'flight.attempted': {
    readonly digest: Digest
    readonly source: string
    readonly sourceKind: 'peer' | 'upstream'
    readonly bytes: number
    readonly ms: number
    /** undefined when it brought all that was missing. */
    readonly error: Error | undefined
  }
  'flight.ended': {
    readonly digest: Digest
    readonly kind: 'manifest' | 'blob'
    readonly repository: Repository
    readonly size: number
    readonly ms: number
    readonly waiters: number
    /** Who brought the last byte. */
    readonly source: string | undefined
    /** It is stored. Without an error it has reached its readers all the same. */
    readonly kept: boolean
    /** Why it could not be kept. */
    readonly obstacle: string | undefined
    readonly error: Error | undefined
  }
  'upstream.answered': {
    readonly host: string
    readonly kind: 'manifest' | 'blob' | 'tags' | 'referrers' | 'token' | 'ping'
    readonly method: string
    /** undefined when there was no answer. */
    readonly status: number | undefined
    readonly ms: number
  }
  'upstream.quota': {
    readonly host: string
    readonly limit: number | undefined
    readonly remaining: number
    readonly windowSeconds: number | undefined
    /** Not to this node: a peer says so. */
    readonly isHearsay?: boolean
  }
  /** A host is not asked for content of this kind for so long, as it has answered 429 to this node, or to a peer. */
  'upstream.limited': {
    readonly host: string
    readonly kind: string
    readonly forMs: number
    readonly isHearsay: boolean
  }
  'upstream.circuit': { readonly host: string; readonly open: boolean; readonly reason: string }
  /** Another agent of the swarm has come; its peers reach it at `address`. */
  'peer.joined': {
    readonly id: string
    readonly name: string
    readonly address: string
    readonly zone: string | undefined
    readonly version: string
  }
  'peer.left': {
    readonly id: string
    readonly name: string
    readonly zone: string | undefined
    /** It has said so, was not heard of any more, or has begun a new life; undefined when that is not known. */
    readonly reason: 'left' | 'silent' | 'restarted' | undefined
  }
  /** A peer has taken bytes from this node; `id` is undefined when it was not known as a member. */
  'peer.served': PeerTransfer
  /** Bytes were taken from a peer. One flight may take from several, one after another. */
  'peer.taken': PeerTransfer
  /** How this node is to get what it wants: as the owner of the digest says, undefined when none can be reached. */
  'peer.guided': {
    readonly digest: Digest
    readonly owner: { readonly name: string; readonly isSelf: boolean } | undefined
    /**
     * `take` it from a peer; `fetch` it from upstream for all others; ask upstream `alone`, as nobody here can help; or
     * `wait` for either. `end`: those who asked upstream were failed by it. `unguided`: there is no owner to be asked.
     */
    readonly course: 'take' | 'fetch' | 'alone' | 'wait' | 'end' | 'unguided'
    /** Whom to take it from. */
    readonly from: string | undefined
  }
  'verify.failed': {
    readonly digest: Digest
    readonly found: string
    readonly source: string
    readonly sourceKind: 'peer' | 'upstream' | 'disk'
  }
  'tag.revalidated': {
    readonly repository: Repository
    readonly tag: string
    readonly outcome: 'same' | 'moved' | 'new' | 'stale-if-error' | 'gone'
  }
  /** The index was damaged: what could be read of it was kept, or it was begun anew from the blobs on disk. */
  'store.mended': {
    readonly folder: string
    readonly how: 'repaired' | 'rebuilt'
    readonly reason: string
  }
  'store.committed': { readonly digest: Digest; readonly size: number }
  /** A stored blob was let go of: to make room, because somebody asked for room, or asked for it to be removed. */
  'store.evicted': {
    readonly digest: Digest
    readonly size: number
    readonly reason: 'room' | 'gc' | 'removed'
  }
  /** An image that was to be warmed is all here, or `error` says why not. */
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

export interface PeerTransfer {
  readonly digest: Digest
  readonly id: string | undefined
  readonly name: string
  readonly bytes: number
  readonly ms: number
  /** undefined when it went to the end. */
  readonly error: Error | undefined
}

const channels = new Map<string, ReturnType<typeof channel>>()

function channelOf(name: string) {
  let found = channels.get(name)
  if (found === undefined) {
    found = channel(`leat:${name}`)
    channels.set(name, found)
  }
  return found
}

export function publish<Name extends keyof Events>(name: Name, fact: Events[Name]): void {
  const target = channelOf(name)
  if (target.hasSubscribers) target.publish(fact)
}

/** Gives back what ends the subscription. */
export function subscribe<Name extends keyof Events>(
  name: Name,
  listener: (fact: Events[Name]) => void,
): () => void {
  const target = channelOf(name)
  const onMessage = (fact: unknown): void => listener(fact as Events[Name])
  target.subscribe(onMessage)
  return () => target.unsubscribe(onMessage)
}
