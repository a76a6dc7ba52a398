import type { BodyClient } from '../ports/object-store/body-client.ts'
import type { Registry } from '../ports/registry.ts'
import { Bucket } from './client/bucket.ts'
import type { BucketProxies } from './client/bucket-requests.ts'
import { DistributionLayout } from './layout/distribution.ts'
import type { Layout } from './layout/layout.ts'
import { OciRegistryLayout } from './layout/oci-registry.ts'
import type { ObjectStoreOptions } from './options/store-options.ts'
import { BucketNames } from './reading/bucket-names.ts'
import { BucketSource } from './reading/bucket-source.ts'
import { ObjectStoreRegistry } from './reading/object-store-registry.ts'

const DEFAULT_READ_RANGES = 4
/** How long one request that is not the body of a content may take. */
const REQUEST_DEADLINE_MS = 60_000

export interface ObjectStoreParts {
  readonly userAgent: string
  readonly proxies: BucketProxies | undefined
  readonly bodies: BodyClient
}

/** A bucket as a second tier: asked before upstream. */
export class ObjectStore {
  readonly #bucket: Bucket
  readonly #source: BucketSource
  readonly #names: BucketNames

  constructor(options: ObjectStoreOptions, parts: ObjectStoreParts) {
    const bucket = new Bucket({ ...parts, bucket: options, deadlineMs: REQUEST_DEADLINE_MS })
    const layout: Layout =
      options.layout === 'oci-registry'
        ? new OciRegistryLayout()
        : new DistributionLayout({ registry: options.registry })
    const source = new BucketSource({ bucket, layout, parallel: options.readRanges ?? DEFAULT_READ_RANGES })
    this.#bucket = bucket
    this.#source = source
    this.#names = new BucketNames({ bucket, layout, source })
  }

  /** Upstream, with this bucket before it. */
  registry(upstream: Registry): Registry {
    return new ObjectStoreRegistry({ upstream, source: this.#source, names: this.#names })
  }

  close(): Promise<void> {
    return this.#bucket.close()
  }
}
