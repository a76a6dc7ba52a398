import { connect as connectPlain, isIP, type LookupFunction } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import type { ConnectSocket } from '../../lib/http1/http1-connection.ts'
import type { LaneTarget, LaneTls, TlsServerFacts } from './messages.ts'

const TCP_KEEPALIVE_MS = 15_000

export interface TlsContext {
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: boolean
  /** The lane presents a certificate, and the main thread checks the server's one. */
  readonly isMutual: boolean
}

/** Reads the certificates once for all connections with the same settings. */
export function tlsContextOf({ ca, rejectUnauthorized, own }: LaneTls): TlsContext {
  const secureContext = createSecureContext({
    ...(ca === undefined ? {} : { ca: [...ca] }),
    // Older versions of TLS send certificates unencrypted.
    ...(own === undefined ? {} : { ...own, minVersion: 'TLSv1.3' as const }),
  })
  return { secureContext, rejectUnauthorized, isMutual: own !== undefined }
}

/** Connects to one of the addresses that the main thread has resolved the name to, and to no other. */
export function connectSocket(target: LaneTarget, tls: TlsContext | undefined): ConnectSocket {
  const { host, port, session } = target
  const keepAlive = { keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS }
  const common = { host, port, lookup: lookupIn(target), ...keepAlive }
  if (tls === undefined) return (onread) => connectPlain({ ...common, onread })
  const options = {
    ...common,
    secureContext: tls.secureContext,
    rejectUnauthorized: tls.rejectUnauthorized,
    ...(session === undefined ? {} : { session: Buffer.from(session) }),
    ...(tls.isMutual ? NAMELESS : isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['http/1.1'],
  }
  return (onread) => {
    const withOnread = { ...options, onread }
    return connectTls(withOnread)
  }
}

const NAMELESS = { servername: '', checkServerIdentity: () => undefined }

/** Call this once for a connection. */
export function factsOf(socket: TLSSocket): TlsServerFacts {
  const isResumed = socket.isSessionReused()
  const certificate = isResumed ? undefined : socket.getPeerX509Certificate()?.raw
  return { alpn: socket.alpnProtocol ?? false, isResumed, certificate }
}

function lookupIn({ host, addresses }: LaneTarget): LookupFunction {
  return (_, options, callback) => {
    const [first] = addresses
    if (first === undefined) callback(new Error(`${host} has no address`), '')
    else if (options.all === true) callback(null, [...addresses])
    else callback(null, first.address, first.family)
  }
}
