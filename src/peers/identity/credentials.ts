import type { KeyObject, X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { memberIdOf } from './identity.ts'
import type { MemberId } from './member.ts'

/** What an agent presents to its peers in TLS, and what it accepts from them. Keys and certificates are in PEM. */
export interface PeerCredentials {
  readonly key: string
  readonly cert: string
  /** The authorities. An agent with a certificate that one of them issued knows the secret. */
  readonly ca: readonly string[]
  /** The SHA-256 of `cert` in hex, which is part of the agent's signed record. */
  readonly fingerprint: string
  /** The member that `key` belongs to. */
  readonly id: MemberId
}

/** The TLS options of both ends. TLS 1.3 is required because older versions send certificates unencrypted. */
export function tlsOptions({ key, cert, ca }: PeerCredentials) {
  const minVersion = 'TLSv1.3' as const
  return { key, cert, ca: [...ca], minVersion }
}

/** The other end of a TLS connection, as its certificate identifies it. */
export interface RemoteIdentity {
  /** The member that has the key of the certificate; undefined if the key is not an Ed25519 key. */
  readonly id: MemberId | undefined
  /** The SHA-256 of the certificate in hex. */
  readonly fingerprint: string
}

/**
 * Undefined if the other end presented no certificate. Call this once per connection: Node 20 returns a server's
 * certificate only to the first call.
 */
export function remoteIdentityOf(socket: TLSSocket): RemoteIdentity | undefined {
  const certificate = socket.getPeerX509Certificate()
  return certificate && remoteIdentityIn(certificate)
}

export function remoteIdentityIn({ publicKey, fingerprint256 }: X509Certificate): RemoteIdentity {
  return {
    id: publicKey.asymmetricKeyType === 'ed25519' ? memberIdOfKey(publicKey) : undefined,
    fingerprint: fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}

/** The last 32 bytes of the SPKI encoding of an Ed25519 key are the key itself (RFC 8410, 4). */
export function memberIdOfKey(key: KeyObject): MemberId {
  return memberIdOf(key.export({ type: 'spki', format: 'der' }).subarray(-32))
}
