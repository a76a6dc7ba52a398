import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { type S3Server, startMoto, startVersitygw } from '../../../testkit/object-store/servers.ts'
import { openBucket } from '../../object-store/bucket-fixture.ts'
import { BUCKET_STEPS, WRONG_BODY } from '../../object-store/bucket-steps.ts'

const SERVERS: Readonly<Record<string, (t: TestContext) => Promise<S3Server | undefined>>> = {
  moto: startMoto,
  versitygw: async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'leat-s3-'))
    addCleanup(t, () => rm(root, { recursive: true, force: true, maxRetries: 3 }))
    return startVersitygw(t, root)
  },
}

for (const [server, start] of Object.entries(SERVERS)) {
  test(`${server} does what the client of a bucket asks of it`, async (t) => {
    const started = await start(t)
    if (started === undefined) return
    const bucket = openBucket(t, started)
    for (const [name, step] of Object.entries(BUCKET_STEPS)) {
      // moto takes every body.
      if (server !== 'moto' || name !== WRONG_BODY) await t.test(name, () => step(bucket))
    }
  })
}
