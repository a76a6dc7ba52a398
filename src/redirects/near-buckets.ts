import { networkFilter } from '../lib/client-address.ts'
import type { RedirectedRequest } from '../ports/redirects/redirected-host.ts'
import { BucketLookups } from './buckets/bucket-lookups.ts'
import { type BucketParts, RedirectBucket } from './buckets/redirect-bucket.ts'
import { ClientNetworks } from './clients/client-networks.ts'
import { clientAddressOf } from './clients/forwarded.ts'
import type { RedirectOptions } from './options.ts'

interface Entry {
  readonly networks: ClientNetworks
  readonly lookups: BucketLookups
}

/** The buckets of a redirected host, each for the clients near it. */
export class NearBuckets {
  readonly #entries: readonly Entry[]
  readonly #isTrustedProxy: (address: string) => boolean

  constructor({ clients = [], trustedProxies = [] }: RedirectOptions, parts: BucketParts) {
    this.#entries = clients.map(({ to, ...networks }) => ({
      networks: new ClientNetworks(networks),
      lookups: new BucketLookups(to.name, new RedirectBucket(to, parts)),
    }))
    this.#isTrustedProxy = networkFilter(trustedProxies)
  }

  /** Reads the files of the networks and of the buckets. Rejects with a `FileProblem` if one cannot be used. */
  async open(): Promise<void> {
    await Promise.all(this.#entries.flatMap(({ networks, lookups }) => [networks.open(), lookups.open()]))
  }

  /** The URL of a blob in the bucket near the client. Undefined: there is none, or it is not known to have the blob. */
  async locate({
    repository,
    wanted,
    isGet,
    sender,
  }: RedirectedRequest): Promise<{ readonly bucket: string; readonly url: string } | undefined> {
    if (wanted.kind !== 'blob' || this.#entries.length === 0) return undefined
    const address = clientAddressOf(sender, this.#isTrustedProxy)
    const lookups = address === undefined ? undefined : await this.#nearest(address)
    const url = await lookups?.locate(repository, wanted.digest, isGet ? 'GET' : 'HEAD')
    return lookups === undefined || url === undefined ? undefined : { bucket: lookups.name, url }
  }

  async close(): Promise<void> {
    await Promise.all(this.#entries.map(({ lookups }) => lookups.close()))
  }

  async #nearest(address: string): Promise<BucketLookups | undefined> {
    for (const { networks, lookups } of this.#entries) if (await networks.has(address)) return lookups
    return undefined
  }
}
