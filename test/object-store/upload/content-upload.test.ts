import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { RateLimiter } from '../../../src/lib/async/rate-limiter.ts'
import { ContentUpload } from '../../../src/object-store/upload/content-upload.ts'
import { SequentialBytes } from '../../../src/object-store/upload/sequential-bytes.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { sha256 } from '../../../testkit/registries/faulty/content.ts'
import { NEVER, openBucket, startFake } from '../bucket-fixture.ts'

const PART_BYTES = 300_000
const BYTES = randomBytes(2 * PART_BYTES)

/** Uploads the bytes in two parts, of which another process has the first one sent already. */
async function send(t: TestContext, fake: FakeS3, onLastPart: () => void): Promise<number> {
  const bucket = openBucket(t, { endpoint: fake.endpoint })
  const contents = new ContentUpload({ bucket, rate: new RateLimiter(undefined), partBytes: PART_BYTES })
  const upload = fake.objects.start('cache/key')
  fake.faultOf = ({ query }) => {
    if (!query.includes('partNumber=2')) return undefined
    fake.objects.abort(upload)
    onLastPart()
    return undefined
  }
  const content = { digest: sha256(BYTES), size: BYTES.length }
  const chunks = (async function* () {
    yield BYTES
  })()
  return contents.send('key', new SequentialBytes(content, chunks), { replace: false, ...NEVER })
}

test('an upload that another process has completed meanwhile is done', async (t) => {
  const fake = await startFake(t)
  assert.equal(await send(t, fake, () => fake.objects.put('cache/key', BYTES)), 0)
})

test('an upload that another process has aborted can be tried again', async (t) => {
  const fake = await startFake(t)
  await assert.rejects(
    send(t, fake, () => {}),
    {
      code: 'unavailable',
      message: /^s3:\/\/images\/cache: another process has ended the upload of sha256:/,
    },
  )
})
