import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** The certificate that the client has proved to own, in DER, if an authority of the settings has issued it. */
export function peerCertificate(socket: Socket): Uint8Array | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  return socket.getPeerX509Certificate()?.raw
}
