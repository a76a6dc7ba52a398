import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { DistributionLayout } from '../../../src/object-store/layout/distribution.ts'
import { RedirectBucket } from '../../../src/redirects/buckets/redirect-bucket.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { type S3Server, startMoto, startVersitygw, TEST_KEYS } from '../../../testkit/object-store/servers.ts'
import { NEVER, openBucket, sha256 } from '../../object-store/bucket-fixture.ts'

const REPOSITORY = { registry: 'reg.test:5000', name: 'team/app' }
const BLOB = Buffer.from('a layer')
const DIGEST = digestOf(BLOB)

const SERVERS: Readonly<Record<string, (t: TestContext) => Promise<S3Server | undefined>>> = {
  moto: startMoto,
  versitygw: async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'leat-s3-'))
    addCleanup(t, () => rm(root, { recursive: true, force: true, maxRetries: 3 }))
    return startVersitygw(t, root)
  },
}

for (const [server, start] of Object.entries(SERVERS)) {
  test(`${server} gives a linked blob to whoever has its signed URL`, async (t) => {
    const started = await start(t)
    if (started === undefined) return
    const { bucket: name, endpoint } = started
    const store = openBucket(t, { bucket: name, endpoint })
    const bucket = new RedirectBucket(
      {
        name: `s3://${name}/cache`,
        bucket: { bucket: name, prefix: 'cache', endpoint, environment: TEST_KEYS, credentials: 'env' },
      },
      { userAgent: 'leat/test', proxies: undefined },
    )
    addCleanup(t, () => bucket.close())
    const want = { kind: 'blob', digest: DIGEST, repository: REPOSITORY } as const
    const keys = new DistributionLayout({ registry: undefined }).contentKeys(want)
    assert.ok(keys?.link !== undefined)
    assert.equal(await bucket.has(REPOSITORY, DIGEST, NEVER), false)
    await store.put(keys.data, BLOB, { sha256: sha256(BLOB), ...NEVER })
    assert.equal(await bucket.has(REPOSITORY, DIGEST, NEVER), false)
    await store.put(keys.link, Buffer.from(DIGEST), { sha256: sha256(Buffer.from(DIGEST)), ...NEVER })
    assert.equal(await bucket.has(REPOSITORY, DIGEST, NEVER), true)

    const url = await bucket.url(DIGEST, 'GET', NEVER)
    assert.equal(await (await fetch(url)).text(), BLOB.toString())
    const part = await fetch(url, { headers: { range: 'bytes=2-' } })
    assert.deepEqual([part.status, await part.text()], [206, 'layer'])
    const head = await fetch(await bucket.url(DIGEST, 'HEAD', NEVER), { method: 'HEAD' })
    assert.equal(head.status, 200)
    // moto verifies no signature.
    if (server === 'moto') return
    const forged = new URL(url)
    forged.searchParams.set('X-Amz-Expires', '604800')
    for (const refused of [forged.href, url.split('?', 1)[0] ?? '']) {
      const answer = await fetch(refused)
      await answer.arrayBuffer()
      assert.equal(answer.status, 403, refused)
    }
  })
}
