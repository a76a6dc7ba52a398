import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** The certificate that the client has proved to own, in DER. Nobody has checked yet who has issued it. */
export function peerCertificate(socket: Socket): Uint8Array | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  return socket.getPeerX509Certificate()?.raw
}
