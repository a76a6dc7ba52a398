import { ADDRCONFIG, type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import {
  type AddressScope,
  innermostScope,
  isWithinScope,
  scopeOfHostname,
  scopeOfIp,
} from './address-scope.ts'

/** Gives all addresses of a name, as `lookup` of `node:dns` does. */
export type Lookup = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void

/** A host has an address that is further inside the network than the limit of the request permits. */
export class AddressRefusedError extends Error {
  constructor(hostname: string) {
    super(`${hostname} has an address that this registry is not permitted to use or to redirect to`)
    this.name = 'AddressRefusedError'
  }
}

/** Throws when a host name is a literal address beyond the limit. Sockets look up names, but not literal addresses. */
export function checkHostname(hostname: string, limit: AddressScope): void {
  const scope = scopeOfHostname(hostname)
  if (scope !== undefined && !isWithinScope(scope, limit)) throw new AddressRefusedError(hostname)
}

/**
 * A look-up for `net.connect` that gives only addresses within the limit. The check is part of connecting, so that DNS
 * cannot give one address to the check and another one to the connection.
 */
export function lookupWithin(limit: AddressScope, lookup: Lookup = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '')
      const allowed = found.filter(({ address }) => isWithinScope(scopeOfIp(address), limit))
      const first = allowed[0]
      if (first === undefined) return callback(new AddressRefusedError(hostname), '')
      if (options.all === true) return callback(null, allowed)
      callback(null, first.address, first.family)
    })
  }
}

/**
 * The addresses of a host within the limit, for a connection that is made elsewhere: it uses these addresses and no others,
 * so that the check is part of connecting there too.
 */
export function resolveWithin(
  hostname: string,
  limit: AddressScope,
  lookup?: Lookup,
): Promise<readonly LookupAddress[]> {
  const family = isIP(hostname)
  if (family !== 0) return Promise.resolve([{ address: hostname, family }])
  return new Promise((resolve, reject) => {
    lookupWithin(limit, lookup)(hostname, { all: true, hints: ADDRCONFIG }, (error, found) => {
      if (error === null && typeof found !== 'string') resolve(found)
      else reject(error ?? new Error(`${hostname} has no address`))
    })
  })
}

/** The scope of a host, by DNS if need be: that of its innermost address. A name that does not resolve is public. */
export function resolveScope(hostname: string, lookup: Lookup = systemLookup): Promise<AddressScope> {
  const known = scopeOfHostname(hostname)
  if (known !== undefined) return Promise.resolve(known)
  return new Promise((resolve) => {
    lookup(hostname, { all: true }, (error, found) => {
      resolve(innermostScope(error === null ? found.map(({ address }) => scopeOfIp(address)) : []))
    })
  })
}

/**
 * How far inside the network a registry may send the agent: its own scope, but never beyond `limit`. A private registry
 * may also send to `special` addresses, because some clusters number their networks from those ranges.
 */
export async function scopeLimitForTargets(
  hostname: string,
  limit: AddressScope,
  lookup?: Lookup,
): Promise<AddressScope> {
  const own = await resolveScope(hostname, lookup)
  const scope = own === 'private' ? 'special' : own
  return isWithinScope(scope, limit) ? scope : limit
}
