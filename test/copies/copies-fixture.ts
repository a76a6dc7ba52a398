import type { TestContext } from 'node:test'
import { BucketCopies } from '../../src/copies/bucket-copies.ts'
import type { CopyOptions } from '../../src/copies/options/copy-options.ts'
import { ResolverReader } from '../../src/export/readers/resolver-reader.ts'
import { BucketCopy } from '../../src/object-store/copy.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { Repository } from '../../src/oci/names/repository.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { MemoryResolver } from '../../testkit/memory/memory-resolver.ts'
import type { FakeS3 } from '../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../testkit/object-store/servers.ts'
import { buildImage } from '../../testkit/registries/image.ts'
import { NEVER, startFake } from '../object-store/bucket-fixture.ts'
import { tagLink } from '../object-store/filled-bucket.ts'

export const APP: Repository = { registry: 'up.test', name: 'app' }
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

export interface AddedImage {
  readonly manifest: Digest
  /** The digests and sizes of its blobs. */
  readonly blobs: readonly { readonly digest: Digest; readonly size: number }[]
}

export interface CopiesLab {
  readonly fake: FakeS3
  readonly resolver: MemoryResolver
  readonly copy: BucketCopy
  readonly copies: BucketCopies
  readonly to: CopyOptions['to']
  /** Puts an image under this tag where copies read. */
  addImage(tag: string, seed?: string): AddedImage
  /** What a tag refers to in the bucket. */
  tagIn(tag: string): string | undefined
}

export async function setUp(
  t: TestContext,
  { costPerGiB }: { costPerGiB?: number } = {},
): Promise<CopiesLab> {
  const fake = await startFake(t)
  const to = { bucket: 'images', prefix: 'cache', endpoint: fake.endpoint, environment: TEST_KEYS }
  const copy = new BucketCopy(to, { userAgent: 'leat/test', proxies: undefined, ...NEVER })
  const resolver = new MemoryResolver()
  const reader = new ResolverReader(resolver)
  const copies = new BucketCopies({ copy, reader, selection: 'all', costPerGiB, firstPauseMs: 1 })
  addCleanup(t, async () => {
    await copies.stop()
    await copy.close()
  })
  return {
    fake,
    resolver,
    copy,
    copies,
    to,
    addImage(tag, seed = tag) {
      const image = buildImage(seed)
      return {
        blobs: image.blobs.map(({ bytes }) => ({ digest: resolver.putBlob(APP, bytes), size: bytes.length })),
        manifest: resolver.putManifest(APP, image.manifest.bytes, OCI_MANIFEST, tag),
      }
    },
    tagIn: (tag) => fake.objects.get(tagLink('up.test/app', tag))?.bytes.toString(),
  }
}
