import { connect as connectPlain, isIP } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import type { ConnectSocket } from '../../lib/http1/http1-connection.ts'
import type { AddressScope } from '../options/address-scope.ts'
import { type Lookup, lookupWithin } from '../options/scoped-lookup.ts'

export interface ConnectionTarget {
  readonly url: URL
  readonly scopeLimit: AddressScope
  readonly lookup: Lookup | undefined
  readonly secureContext: SecureContext | undefined
  readonly rejectUnauthorized: boolean
}

/** Connects to the host of a URL, with TLS for https, and only within the scope limit. */
export function connectSocket(target: ConnectionTarget): ConnectSocket {
  const { url, scopeLimit, lookup, secureContext, rejectUnauthorized } = target
  const tls = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port)
  const common = { host, port, lookup: lookupWithin(scopeLimit, lookup) }
  if (!tls) return (onread) => connectPlain({ ...common, onread })
  const options = {
    ...common,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(secureContext === undefined ? {} : { secureContext }),
    rejectUnauthorized,
    ALPNProtocols: ['http/1.1'],
  }
  return (onread) => {
    const withOnread = { ...options, onread }
    return connectTls(withOnread)
  }
}
