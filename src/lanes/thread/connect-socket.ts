import { connect as connectPlain, isIP, type LookupFunction } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import type { ConnectSocket } from '../../lib/http1/http1-connection.ts'
import type { LaneTarget, LaneTls } from './messages.ts'

export interface TlsContext {
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: boolean
}

/** Reads the certificates once for all connections with the same settings. */
export function tlsContextOf({ ca, rejectUnauthorized }: LaneTls): TlsContext {
  const secureContext = createSecureContext(ca === undefined ? {} : { ca: [...ca] })
  return { secureContext, rejectUnauthorized }
}

/** Connects to one of the addresses that the main thread has resolved the name to, and to no other. */
export function connectSocket(target: LaneTarget, tls: TlsContext | undefined): ConnectSocket {
  const { host, port } = target
  const common = { host, port, lookup: lookupIn(target) }
  if (tls === undefined) return (onread) => connectPlain({ ...common, onread })
  const options = {
    ...common,
    ...tls,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['http/1.1'],
  }
  return (onread) => {
    const withOnread = { ...options, onread }
    return connectTls(withOnread)
  }
}

function lookupIn({ host, addresses }: LaneTarget): LookupFunction {
  return (_, options, callback) => {
    const [first] = addresses
    if (first === undefined) callback(new Error(`${host} has no address`), '')
    else if (options.all === true) callback(null, [...addresses])
    else callback(null, first.address, first.family)
  }
}
