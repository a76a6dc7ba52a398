import type { TLSSocket } from 'node:tls'

/** What an agent shows to its peers, and what it expects of them. PEM throughout. */
export interface PeerCredentials {
  readonly key: string
  readonly cert: string
  /** Whoever has a certificate of one of these knows the secret. */
  readonly ca: readonly string[]
  /** SHA-256 of `cert`, in hex: what members tell each other. */
  readonly fingerprint: string
}

/** For both ends. Not older than TLS 1.3, in which a certificate is only shown encrypted. */
export function secure({ key, cert, ca }: PeerCredentials) {
  const minVersion = 'TLSv1.3' as const
  return { key, cert, ca: [...ca], minVersion }
}

/** As members tell it of themselves; undefined when none was shown. */
export function fingerprintOf(socket: TLSSocket): string | undefined {
  return socket.getPeerX509Certificate()?.fingerprint256.replaceAll(':', '').toLowerCase()
}
