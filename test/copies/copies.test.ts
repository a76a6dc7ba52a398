import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Copies } from '../../src/copies/copies.ts'
import type { CopyOptions } from '../../src/copies/options/copy-options.ts'
import { publish } from '../../src/observe/events.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { requestEnded } from '../observe/sample-events.ts'
import { folder } from '../store/folder.ts'
import { APP, type CopiesLab, setUp } from './copies-fixture.ts'

const SECRET = 'a secret of the registry'
const BODY = Buffer.from(JSON.stringify({ images: ['up.test/app:1', 'up.test/other:1', 'else.test/app:1'] }))
const SENT = { body: BODY, authorization: `Bearer ${SECRET}`, signature: undefined }

async function open(
  t: TestContext,
  { to, resolver }: CopiesLab,
  options: Partial<CopyOptions>,
  checkMs?: number,
): Promise<Copies> {
  const copies = new Copies([{ to, ...options }], {
    userAgent: 'leat/test',
    proxies: undefined,
    resolver,
    defaultNamespace: 'up.test',
    zone: undefined,
    isAllowed: ({ name }) => name === 'app',
    owns: () => true,
    ...(checkMs === undefined ? {} : { checkMs }),
  })
  addCleanup(t, () => copies.stop())
  await copies.open()
  copies.start()
  return copies
}

async function notified(t: TestContext): Promise<Pick<CopyOptions, 'notified'>> {
  const secretFile = join(await folder(t), 'secret')
  await writeFile(secretFile, `${SECRET}\nthe former secret of it\n`)
  return { notified: { names: ['up.test/**'], secretFile } }
}

test('what a registry says is copied, of the names of the settings and of what is allowed', async (t) => {
  const lab = await setUp(t)
  const { manifest } = lab.addImage('1')
  const copies = await open(t, lab, await notified(t))
  assert.deepEqual(await copies.notify(SENT), { kind: 'accepted', images: ['up.test/app:1'] })
  await copies.idle()
  assert.equal(lab.tagIn('1'), manifest)
  assert.equal(copies.states()[0]?.copied, 1)
})

test('a notification needs the secret, in the way of any registry', async (t) => {
  const lab = await setUp(t)
  lab.addImage('1')
  const copies = await open(t, lab, await notified(t))
  const hmac = createHmac('sha256', SECRET).update(BODY).digest('hex')
  for (const [sent, kind] of [
    [{ authorization: SECRET }, 'accepted'],
    [{ authorization: 'bearer the former secret of it' }, 'accepted'],
    [{ authorization: undefined, signature: `sha256=${hmac}` }, 'accepted'],
    [{ authorization: undefined }, 'wrong-secret'],
    [{ authorization: 'Bearer another secret of it' }, 'wrong-secret'],
    [{ authorization: undefined, signature: `sha256=${'0'.repeat(64)}` }, 'wrong-secret'],
    [{ body: Buffer.from('{'), authorization: SECRET }, 'malformed'],
  ] as const) {
    assert.equal((await copies.notify({ ...SENT, ...sent })).kind, kind, JSON.stringify(sent))
  }
  await copies.idle()
})

test('without a copy that takes notifications none is taken', async (t) => {
  const lab = await setUp(t)
  const copies = await open(t, lab, { schedule: { images: [], everyMs: 3_600_000 } })
  assert.deepEqual(await copies.notify(SENT), { kind: 'not-taken' })
})

test('the images of a schedule are copied soon after the start', async (t) => {
  const lab = await setUp(t)
  const { manifest } = lab.addImage('1')
  const written = new Promise<void>((resolve) => {
    lab.fake.objects.onChange = () => {
      if (lab.tagIn('1') !== undefined) resolve()
    }
  })
  await open(t, lab, { schedule: { images: ['app:1'], everyMs: 3_600_000 } }, 1)
  // The timer of the schedule does not keep the process running.
  const alive = setInterval(() => {}, 1000)
  await written
  clearInterval(alive)
  assert.equal(lab.tagIn('1'), manifest)
})

test('the pulls of an image whose copy was given up count again', async (t) => {
  const lab = await setUp(t)
  const copies = await open(t, lab, { pulled: { times: 1, withinMs: 3_600_000 } })
  const pull = (): void =>
    publish('request.ended', requestEnded({ route: 'manifest', repository: APP, reference: '1' }))
  pull()
  await copies.idle()
  assert.equal(copies.states()[0]?.failed, 1)
  const { manifest } = lab.addImage('1')
  pull()
  await copies.idle()
  assert.equal(lab.tagIn('1'), manifest)
})

test('a file of a secret that cannot be used stops the start', async (t) => {
  const lab = await setUp(t)
  const opened = open(t, lab, { notified: { names: ['**'], secretFile: '/none' } })
  await assert.rejects(opened, { name: 'FileProblem' })
})
