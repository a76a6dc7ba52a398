import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { FakeS3 } from '../../../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../../../testkit/object-store/servers.ts'
import { startFake } from '../../../object-store/bucket-fixture.ts'
import { fillBucket, makeImage, tagLink } from '../../../object-store/filled-bucket.ts'
import { folder } from '../../../store/folder.ts'
import { type CommandResult, runAgent } from '../../agent-process.ts'

const MONTH_MS = 30 * 86_400_000

async function configFor(t: TestContext, { endpoint }: FakeS3, more = ''): Promise<string> {
  const file = join(await folder(t), 'leat.yaml')
  await writeFile(file, `objectStore:\n  url: s3://images/cache\n  endpoint: ${endpoint}\n${more}`)
  return file
}

function gc(config: string, ...args: readonly string[]): Promise<CommandResult> {
  return runAgent(['gc', '--object-store', '--config', config, ...args], TEST_KEYS)
}

test('gc --object-store names and removes what no tag of the bucket needs, and the tags that have expired', async (t) => {
  const fake = await startFake(t)
  fillBucket(fake, 'up.test/app', '1', makeImage())
  fillBucket(fake, 'up.test/app', '2', makeImage())
  for (const key of fake.objects.keys()) {
    fake.objects.put(key, fake.objects.get(key)?.bytes ?? Buffer.alloc(0), Date.now() - MONTH_MS)
  }
  const config = await configFor(t, fake, '  expire: [{ names: ["up.test/*"], keepTags: ["1"] }]\n')
  const dry = await gc(config, '--dry-run')
  assert.deepEqual([dry.code, dry.err], [0, ''])
  assert.match(dry.out, /^tag up\.test\/app:2: kept by no condition of the rule for up\.test\/\*\n/)
  assert.match(
    dry.out,
    /\nWould remove 1 tag, and 3 contents of repositories; 3 objects \(.*\) of the bucket\.\n$/,
  )
  assert.ok(fake.objects.get(tagLink('up.test/app', '2')) !== undefined)
  assert.equal((await gc(config)).out, dry.out.replace('Would remove', 'Removed'))
  assert.equal(fake.objects.get(tagLink('up.test/app', '2')), undefined)
  const json = await gc(config, '--json')
  assert.deepEqual(JSON.parse(json.out), { tags: 0, links: 0, blobs: 0, bytes: 0 })
})

test('gc --object-store says what is missing', async (t) => {
  const fake = await startFake(t)
  const config = await configFor(t, fake)
  const wrong = await gc(config, '--to', '1GiB')
  assert.deepEqual([wrong.code, wrong.err], [2, 'agent: --to is not for --object-store\n'])
  const none = join(await folder(t), 'leat.yaml')
  await writeFile(none, '{}')
  assert.match((await gc(none)).err, /^agent: the settings have no objectStore/)
  fake.faultOf = () => ({ kind: 'error', status: 403, code: 'AccessDenied' })
  const denied = await gc(config)
  assert.deepEqual(
    [denied.code, denied.err],
    [
      1,
      'agent: s3://images/cache: AccessDenied (grant s3:GetObject and s3:ListBucket, s3:PutObject for uploads, and s3:DeleteObject for agent gc --object-store).\n',
    ],
  )
})
