import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { RateLimiter } from '../../../src/lib/async/rate-limiter.ts'
import { DistributionLayout } from '../../../src/object-store/layout/distribution.ts'
import { ContentUpload } from '../../../src/object-store/upload/content-upload.ts'
import { JobRunner } from '../../../src/object-store/upload/job-runner.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { TagRecord } from '../../../src/ports/catalog.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { NEVER, openBucket, startFake } from '../bucket-fixture.ts'
import { fillBucket, layerLink, makeImage, manifestLink, tagLink } from '../filled-bucket.ts'

const HOUR_MS = 3_600_000
const REPOSITORY = { registry: 'up.test', name: 'app' }
const LINK = tagLink('up.test/app', '1')

/** Runs the job of a tag that the node's record has confirmed at that time. */
async function writeTag(
  t: TestContext,
  fake: FakeS3,
  { digest, checkedAt }: Pick<TagRecord, 'digest' | 'checkedAt'>,
  references: ReadonlyMap<Digest, readonly Digest[]> = new Map(),
): Promise<void> {
  const bucket = openBucket(t, { endpoint: fake.endpoint })
  const runner = new JobRunner({
    bucket,
    layout: new DistributionLayout({ registry: undefined }),
    contents: new ContentUpload({ bucket, rate: new RateLimiter(undefined) }),
    store: {
      blobs: { facts: () => Promise.resolve(undefined) },
      catalog: { tag: () => Promise.resolve({ digest, mediaType: undefined, checkedAt }) },
      async *list() {},
      peek: () => Promise.resolve(undefined),
      repositoriesOf: () => Promise.resolve([]),
      references: (manifest) => Promise.resolve(references.get(manifest) ?? []),
      pinsOf: () => Promise.resolve([]),
    },
  })
  await runner.run({ is: 'tag', repository: REPOSITORY, tag: '1' }, NEVER)
}

function setLinkTime(fake: FakeS3, at: number): void {
  fake.objects.put(LINK, fake.objects.get(LINK)?.bytes ?? Buffer.alloc(0), at)
}

test('an answer that comes from the link itself does not make the link younger', async (t) => {
  const fake = await startFake(t)
  const image = makeImage()
  fillBucket(fake, 'up.test/app', '1', image)
  const at = Date.now() - 30 * HOUR_MS
  setLinkTime(fake, at)
  await writeTag(t, fake, { digest: image.manifest.digest, checkedAt: at })
  assert.equal(fake.objects.get(LINK)?.modifiedAt, at)
})

test('a link is written again when upstream has confirmed it much later than it was written', async (t) => {
  const fake = await startFake(t)
  const image = makeImage()
  fillBucket(fake, 'up.test/app', '1', image)
  const now = Date.now()
  setLinkTime(fake, now - 30 * HOUR_MS)
  await writeTag(t, fake, { digest: image.manifest.digest, checkedAt: now })
  assert.ok((fake.objects.get(LINK)?.modifiedAt ?? 0) >= now)
})

test('a link that was written after the record was confirmed stays', async (t) => {
  const fake = await startFake(t)
  const [older, newer] = [makeImage(), makeImage()]
  fillBucket(fake, 'up.test/app', '1', older)
  fillBucket(fake, 'up.test/app', '1', newer)
  await writeTag(t, fake, { digest: older.manifest.digest, checkedAt: Date.now() - HOUR_MS })
  assert.equal(fake.objects.get(LINK)?.bytes.toString(), newer.manifest.digest)
})

test('the tag of an index makes the links young that its manifests need', async (t) => {
  const fake = await startFake(t)
  const [index, image] = [makeImage(), makeImage()]
  fillBucket(fake, 'up.test/app', '1', index)
  fillBucket(fake, 'up.test/app', '2', image)
  const blobs = image.blobs.map(({ digest }) => digest)
  const month = Date.now() - 30 * 24 * HOUR_MS
  for (const key of fake.objects.keys())
    fake.objects.put(key, fake.objects.get(key)?.bytes ?? Buffer.alloc(0), month)
  const references = new Map([
    [index.manifest.digest, [image.manifest.digest]],
    [image.manifest.digest, blobs],
  ])
  await writeTag(t, fake, { digest: index.manifest.digest, checkedAt: Date.now() }, references)
  const links = [
    manifestLink('up.test/app', image.manifest.digest),
    ...blobs.map((digest) => layerLink('up.test/app', digest)),
  ]
  for (const key of links) assert.ok((fake.objects.get(key)?.modifiedAt ?? month) > month, key)
})
