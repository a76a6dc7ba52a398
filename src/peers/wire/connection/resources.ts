import type { RateLimiter } from '../../../lib/async/rate-limiter.ts'
import { errorCode } from '../../../lib/error-code.ts'
import { Failure } from '../../../ports/failure.ts'
import type { RemoteIdentity } from '../../identity/credentials.ts'
import type { MemberId } from '../../identity/member.ts'
import type { SendBuffers } from './send-buffers.ts'

/** The limits and the memory that all connections of a node share. */
export interface ConnectionResources {
  readonly uploadLimiter: RateLimiter
  readonly downloadLimiter: RateLimiter
  readonly sendBuffers: SendBuffers
  /** How long a peer may take to read one buffer of the content that it has asked for. */
  readonly stallMs: number
  /** How long a peer may take to end an exchange that this node has ended. */
  readonly lingerMs: number
}

/** The other end of a connection, as membership knows it. */
export interface KnownMember {
  /** Users see this name. */
  readonly name: string
  readonly id: MemberId
}

/** The other end of a connection. */
export interface RemotePeer {
  /** Users see this name. */
  readonly peerName: string
  /** The member at the other side; undefined while membership does not know it. */
  readonly member: KnownMember | undefined
  /** The identity of the other side from its certificate, which it cannot forge. */
  readonly remoteIdentity: RemoteIdentity
}

/** A failure that names the peer. */
export function peerFailure(peerName: string, message: string, cause?: unknown): Failure {
  return new Failure('unavailable', `${peerName}: ${message}`, { source: peerName, cause })
}

/** The failure of a connection with the peer. An error that is a `Failure` stays the same. */
export function failureOfConnection(peerName: string, error: unknown): Failure {
  if (error instanceof Failure) return error
  const message = errorCode(error) ?? (error instanceof Error ? error.message : 'unknown error')
  return peerFailure(peerName, message, error)
}
