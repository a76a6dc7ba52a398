import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AgentOptions } from '../../src/agent.ts'
import { TEST_KEYS } from '../../testkit/object-store/servers.ts'
import { startAgent, startUpstream } from '../agent/running-agent.ts'
import { startFake } from '../object-store/bucket-fixture.ts'
import { tagLink } from '../object-store/filled-bucket.ts'
import { folder } from '../store/folder.ts'

const SECRET = 'a secret of the registry'
const IMAGES = JSON.stringify({ images: ['up.test/app:1'] })

async function setUp(t: TestContext, options: Pick<AgentOptions, 'copies'>) {
  const upstream = await startUpstream(t)
  const files = await folder(t)
  const tokenFile = join(files, 'token')
  await writeFile(tokenFile, 'token-of-the-operator')
  const running = await startAgent(t, { upstream, adminAuth: { tokenFile }, ...options })
  const { admin } = running.agent.addresses
  const send = (init: RequestInit): Promise<Response> =>
    fetch(`http://127.0.0.1:${admin?.port}/api/v1/notifications`, init)
  return { upstream, send }
}

test('a registry that knows the secret of a copy has an image copied, without the token of the admin address', async (t) => {
  const fake = await startFake(t)
  const secretFile = join(await folder(t), 'secret')
  await writeFile(secretFile, SECRET)
  const { upstream, send } = await setUp(t, {
    copies: [
      {
        to: { bucket: 'images', prefix: 'cache', endpoint: fake.endpoint, environment: TEST_KEYS },
        notified: { names: ['up.test/**'], secretFile },
      },
    ],
  })
  const { manifest } = upstream.addImage('app', '1', [randomBytes(1000)])
  const copied = new Promise<void>((resolve) => {
    fake.objects.onChange = () => {
      if (fake.objects.get(tagLink('up.test/app', '1')) !== undefined) resolve()
    }
  })
  const headers = { authorization: `Bearer ${SECRET}` }
  const accepted = await send({ method: 'POST', headers, body: IMAGES })
  assert.deepEqual([accepted.status, await accepted.json()], [202, { images: ['up.test/app:1'] }])
  await copied
  assert.equal(fake.objects.get(tagLink('up.test/app', '1'))?.bytes.toString(), manifest)

  for (const [init, status, error] of [
    [{ method: 'POST', body: IMAGES }, 401, /^the secret is wrong; /],
    [
      { method: 'POST', headers: { authorization: 'Bearer token-of-the-operator' }, body: IMAGES },
      401,
      /secret/,
    ],
    [{ method: 'POST', headers, body: 'no JSON' }, 400, /^the body is no notification of a registry; /],
    [{ method: 'POST', headers, body: ' '.repeat(300_000) }, 413, /^the notification has more than /],
    [{ method: 'GET', headers }, 405, /use POST$/],
  ] as const) {
    const answer = await send(init)
    assert.equal(answer.status, status)
    assert.match(((await answer.json()) as { error: string }).error, error)
  }
})

test('an agent that copies nothing takes no notification', async (t) => {
  const { send } = await setUp(t, {})
  const answer = await send({ method: 'POST', body: IMAGES })
  assert.equal(answer.status, 404)
  assert.match(((await answer.json()) as { error: string }).error, /give one of them notified$/)
})
