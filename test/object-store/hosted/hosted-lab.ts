import type { TestContext } from 'node:test'
import { RateLimiter } from '../../../src/lib/async/rate-limiter.ts'
import { HostedObjects } from '../../../src/object-store/hosted/hosted-objects.ts'
import { DistributionLayout } from '../../../src/object-store/layout/distribution.ts'
import { BucketSource } from '../../../src/object-store/reading/bucket-source.ts'
import { ContentUpload } from '../../../src/object-store/upload/content-upload.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Repository } from '../../../src/oci/names/repository.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { NEVER, openBucket, startFake } from '../bucket-fixture.ts'

export const APP: Repository = { registry: 'localhost', name: 'team/app' }

export interface HostedObjectsLab {
  readonly fake: FakeS3
  readonly objects: HostedObjects
  readonly source: BucketSource
  /** Adds a manifest of any bytes. */
  addManifest(text: string, repository?: Repository): Promise<Digest>
}

export async function hostedObjects(
  t: TestContext,
  { registry, answerMs }: { registry?: string; answerMs?: number } = {},
): Promise<HostedObjectsLab> {
  const fake = await startFake(t)
  const bucket = openBucket(t, { endpoint: fake.endpoint, prefix: '' })
  const layout = new DistributionLayout({ registry })
  const contents = new ContentUpload({ bucket, rate: new RateLimiter(undefined) })
  const source = new BucketSource({ bucket, bodies: bucket.bodies, layout, parallel: 1 })
  const limits = answerMs === undefined ? {} : { answerMs }
  const objects = new HostedObjects({ bucket, layout, contents, source, ...limits })
  return {
    fake,
    objects,
    source,
    async addManifest(text, repository = APP) {
      const bytes = Buffer.from(text)
      const digest = digestOf(bytes)
      await objects.addManifest(repository, { digest, bytes, subject: undefined }, NEVER)
      return digest
    },
  }
}

/** A blob in memory. */
export function blobOf(bytes: Buffer) {
  return {
    digest: digestOf(bytes),
    size: bytes.length,
    readable: () => bytes.length,
    read: async (target: Uint8Array, position: number) => bytes.copy(target, 0, position),
  }
}
