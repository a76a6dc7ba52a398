import type { KeyObject } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { memberIdOf } from './identity.ts'
import type { MemberId } from './member.ts'

/** What an agent shows to its peers, and what it expects of them. PEM throughout. */
export interface PeerCredentials {
  readonly key: string
  readonly cert: string
  /** Whoever has a certificate of one of these knows the secret. */
  readonly ca: readonly string[]
  /** SHA-256 of `cert`, in hex: what members tell each other. */
  readonly fingerprint: string
  /** Whom the key belongs to. */
  readonly id: MemberId
}

/** For both ends. Not older than TLS 1.3, in which a certificate is only shown encrypted. */
export function secure({ key, cert, ca }: PeerCredentials) {
  const minVersion = 'TLSv1.3' as const
  return { key, cert, ca: [...ca], minVersion }
}

/** Who the other end of a connection is. */
export interface Shown {
  /**
   * It has proven that it has the key of its certificate, and by that key it is known; undefined for a key of a kind that
   * nobody is known by.
   */
  readonly id: MemberId | undefined
  /** Of its certificate, as members tell it of themselves. */
  readonly fingerprint: string
}

/** To be asked once on a connection: Node 20 gives a server's certificate only once. Undefined when none was shown. */
export function shownBy(socket: TLSSocket): Shown | undefined {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  const { publicKey, fingerprint256 } = certificate
  return {
    id: publicKey.asymmetricKeyType === 'ed25519' ? idOfKey(publicKey) : undefined,
    fingerprint: fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}

/** Of an Ed25519 key. */
export function idOfKey(key: KeyObject): MemberId {
  return memberIdOf(key.export({ type: 'spki', format: 'der' }).subarray(-32))
}
