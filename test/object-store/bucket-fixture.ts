import { createHash } from 'node:crypto'
import type { TestContext } from 'node:test'
import { Bucket } from '../../src/object-store/client/bucket.ts'
import type { BucketProxies } from '../../src/object-store/client/bucket-requests.ts'
import { ObjectBodies } from '../../src/object-store/client/object-bodies.ts'
import type { BucketOptions } from '../../src/object-store/options/options.ts'
import { createBodyClient } from '../../src/upstream/transport/body-client.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { FakeS3 } from '../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../testkit/object-store/servers.ts'
import { sharedLanes } from '../lanes/shared-lanes.ts'

export type TestedBucket = Bucket & { readonly bodies: ObjectBodies }

export const NEVER = { signal: new AbortController().signal }

/** A client of a bucket at a server, which is closed after the test. */
export function openBucket(
  t: TestContext,
  { proxies, ...options }: Partial<BucketOptions> & { endpoint: string; proxies?: BucketProxies },
): TestedBucket {
  const client = new Bucket({
    bucket: { bucket: 'images', prefix: 'cache', environment: TEST_KEYS, credentials: 'env', ...options },
    userAgent: 'leat/test',
    proxies,
    deadlineMs: 60_000,
  })
  const bodies = new ObjectBodies(
    client.requests,
    createBodyClient({
      caFile: options.caFile,
      acceptInvalidCerts: false,
      proxies: undefined,
      lookup: undefined,
      deadlines: { connectMs: 60_000, headerMs: 60_000, tokenMs: 60_000 },
      lanes: sharedLanes(),
    }),
  )
  addCleanup(t, () => Promise.all([client.close(), bodies.close()]))
  return Object.assign(client, { bodies })
}

export async function startFake(t: TestContext): Promise<FakeS3> {
  const fake = await FakeS3.start()
  addCleanup(t, () => fake.close())
  return fake
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
