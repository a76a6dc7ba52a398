import type { BodyClient } from '../../ports/object-store/body-client.ts'
import { ANY_SCOPE } from '../options/address-scope.ts'
import { Transport, type TransportOptions } from './transport.ts'

/** Reads the bodies of a server that the settings name, and that is no registry, as the blobs of registries are read. */
export function createBodyClient(options: Omit<TransportOptions, 'isCounted'>): BodyClient {
  const transport = new Transport({ ...options, isCounted: false })
  return {
    get: ({ url, headers, signal }) =>
      transport.sendForBlob({ method: 'GET', url, headers, kind: 'blob', scopeLimit: ANY_SCOPE, signal }),
    close: () => transport.close(),
  }
}
