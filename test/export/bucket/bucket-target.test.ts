import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { BucketTarget } from '../../../src/export/bucket/bucket-target.ts'
import { BucketCopy } from '../../../src/object-store/copy.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../../testkit/object-store/servers.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { NEVER, startFake } from '../../object-store/bucket-fixture.ts'
import { manifestLink, tagLink } from '../../object-store/filled-bucket.ts'
import { exportTo, layoutReader } from '../fixture.ts'

const app = buildImage('app')

function openTarget(t: TestContext, { endpoint }: FakeS3, registry?: string): BucketTarget {
  const place = { bucket: 'images', prefix: 'cache', endpoint, environment: TEST_KEYS }
  const copy = new BucketCopy(
    { ...place, ...(registry === undefined ? {} : { registry }) },
    { userAgent: 'leat/test', proxies: undefined, ...NEVER },
  )
  addCleanup(t, () => copy.close())
  return new BucketTarget(copy)
}

test('a bucket of one registry takes its images without the registry in their names, and no others', async (t) => {
  const fake = await startFake(t)
  const reader = await layoutReader(t, { 'reg.test/team/app:v1': app })
  await assert.rejects(exportTo(openTarget(t, fake, 'other.test'), reader, ['reg.test/team/app:v1']), {
    name: 'ExportError',
    message:
      /^reg\.test\/team\/app:v1 cannot be exported: the bucket has the repositories of one registry .*, which is not reg\.test; copy it to another bucket or prefix$/,
  })
  assert.deepEqual(fake.objects.keys(), [])
  await exportTo(openTarget(t, fake, 'reg.test'), reader, ['reg.test/team/app:v1'])
  assert.equal(fake.objects.get(tagLink('team/app', 'v1'))?.bytes.toString(), app.manifest.digest)
})

test('what is missing in the bucket is not said to be missing where the image was read', async (t) => {
  const fake = await startFake(t)
  const reader = await layoutReader(t, { 'reg.test/team/app:v1': app })
  fake.faultOf = ({ method, key }) =>
    method === 'PUT' && key === manifestLink('reg.test/team/app', digestOf(app.manifest.bytes, 'sha256'))
      ? { kind: 'error', status: 404, code: 'NoSuchKey' }
      : undefined
  await assert.rejects(exportTo(openTarget(t, fake), reader, ['reg.test/team/app:v1']), {
    message: /: s3:\/\/images\/cache: NoSuchKey; run the command again to continue$/,
  })
  assert.equal(fake.objects.get(tagLink('reg.test/team/app', 'v1')), undefined)
})
