import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type Events, publish, subscribe } from '../../src/observe/events.ts'
import { startLog } from '../../src/observe/log/log.ts'
import type { WebhookOptions } from '../../src/webhooks/options.ts'
import { SEND_POLICY, type SendPolicy } from '../../src/webhooks/send-queue.ts'
import { Webhooks } from '../../src/webhooks/webhooks.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { ALPINE, digestOf } from '../observe/memory-node.ts'
import { folder, published } from '../store/folder.ts'
import { HookServer } from './hook-server.ts'

const QUICK: Partial<SendPolicy> = { firstPauseMs: 1, longestPauseMs: 2, deadlineMs: 60_000 }

function pulled(overrides: Partial<Events['manifest.pulled']> = {}): Events['manifest.pulled'] {
  return {
    repository: ALPINE,
    tag: '3',
    digest: digestOf('alpine'),
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    size: 7,
    client: '127.0.0.1',
    ...overrides,
  }
}

interface Setting {
  readonly server: HookServer
  readonly webhooks: Webhooks
  readonly url: string
}

async function setUp(
  t: TestContext,
  options: Partial<WebhookOptions> = {},
  policy: Partial<SendPolicy> = QUICK,
  markUsed: () => Promise<boolean> = async () => false,
): Promise<Setting> {
  const server = new HookServer()
  const url = await server.start(t)
  const context = { version: '1.2.3', markUsed, policy: { ...SEND_POLICY, ...policy } }
  const webhooks = new Webhooks([{ url, ...options }], context)
  addCleanup(t, () => webhooks.close({ drainMs: 0 }))
  await webhooks.open()
  return { server, webhooks, url }
}

/** Resolves when so many events have ended in one of these ways. */
function ended(t: TestContext, count: number): Promise<Events['webhook.ended'][]> {
  const found: Events['webhook.ended'][] = []
  return new Promise((resolve) => {
    addCleanup(
      t,
      subscribe('webhook.ended', (event) => {
        found.push(event)
        if (found.length === count) resolve(found)
      }),
    )
  })
}

function pullTags(...tags: string[]): void {
  for (const tag of tags) publish('manifest.pulled', pulled({ tag }))
}

const tagsOf = (server: HookServer): unknown[] =>
  server.all('data').map((data) => (data as { tag: unknown }).tag)

describe('a webhook', () => {
  it('gets a pull as a CloudEvent that says where the client is, but not its address', async (t) => {
    const { server } = await setUp(t)
    publish('manifest.pulled', pulled({ client: '::ffff:10.1.2.3' }))
    await server.received(1)
    const [request] = server.requests
    const { id, time, source, ...event } = JSON.parse(request?.body ?? '')
    assert.deepEqual(event, {
      specversion: '1.0',
      type: 'dev.leat.image.pulled',
      subject: 'docker.io/library/alpine:3',
      datacontenttype: 'application/json',
      data: {
        repository: 'docker.io/library/alpine',
        tag: '3',
        digest: digestOf('alpine'),
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        size: 7,
        client: 'private',
      },
    })
    assert.match(id, /^[\da-f-]{36}$/)
    assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    assert.match(source, /^leat:\/\/./)
    assert.equal(request?.headers['content-type'], 'application/cloudevents+json; charset=utf-8')
    assert.equal(request?.headers['user-agent'], 'leat/1.2.3')
    assert.equal(request?.headers['webhook-id'], id)
    assert.doesNotMatch(request?.body ?? '', /10\.1\.2\.3/)
  })

  it('gets one event for each tag of a push and of a deletion', async (t) => {
    const { server } = await setUp(t)
    const { tag: _, ...manifest } = pulled()
    publish('hosted.pushed', { ...manifest, tags: ['a', 'b'] })
    publish('hosted.pushed', { ...manifest, tags: [] })
    publish('hosted.deleted', { ...manifest, kind: 'tag', tags: ['a'] })
    publish('hosted.deleted', { ...manifest, kind: 'blob', tags: [], client: undefined })
    await server.received(5)
    assert.deepEqual(
      server.all('type').map((type) => String(type).split('.').at(-1)),
      ['pushed', 'pushed', 'pushed', 'deleted', 'deleted'],
    )
    assert.deepEqual(server.all('subject').slice(2), [
      `docker.io/library/alpine@${digestOf('alpine')}`,
      'docker.io/library/alpine:a',
      `docker.io/library/alpine@${digestOf('alpine')}`,
    ])
    const [last] = server.all('data').slice(-1) as [Record<string, unknown>]
    assert.deepEqual([last['removed'], last['client']], ['blob', null])
  })

  it('gets a notification in the envelope of the distribution project if it wants that', async (t) => {
    const { server } = await setUp(t, { format: 'distribution' }, QUICK, async () => true)
    publish('manifest.pulled', pulled())
    await server.received(1)
    const [{ body, headers } = assert.fail()] = server.requests
    assert.equal(headers['content-type'], 'application/vnd.docker.distribution.events.v1+json')
    const { events } = JSON.parse(body)
    assert.equal(events.length, 1)
    const [{ id, action, target, request, actor, source }] = events
    assert.deepEqual(
      [action, target, request, actor],
      [
        'pull',
        {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest: digestOf('alpine'),
          size: 7,
          length: 7,
          repository: 'docker.io/library/alpine',
          tag: '3',
        },
        { id, method: 'GET' },
        {},
      ],
    )
    assert.ok(source.addr.length > 0)
  })

  it('gets the events and the repositories that it wants', async (t) => {
    const { server } = await setUp(
      t,
      { events: ['first-use', 'push'], names: ['docker.io/library/*'] },
      QUICK,
      async () => true,
    )
    const { tag: _, ...manifest } = pulled()
    publish('manifest.pulled', pulled({ repository: { registry: 'ghcr.io', name: 'a/b' } }))
    publish('manifest.pulled', pulled())
    await server.received(1)
    publish('hosted.deleted', { ...manifest, kind: 'tag', tags: ['3'] })
    publish('hosted.pushed', { ...manifest, tags: ['3'] })
    await server.received(2)
    assert.deepEqual(server.all('type'), ['dev.leat.image.first-used', 'dev.leat.image.pushed'])
  })

  it('is told of the first use once', async (t) => {
    const marks = [true, false]
    const { server } = await setUp(
      t,
      { events: ['first-use', 'push'] },
      QUICK,
      async () => marks.shift() ?? false,
    )
    pullTags('1', '2')
    const { tag: _, ...manifest } = pulled()
    publish('hosted.pushed', { ...manifest, tags: ['last'] })
    await server.received(2)
    assert.deepEqual(tagsOf(server).sort(), ['1', 'last'])
  })
})

describe('the signature', () => {
  it('is that of Standard Webhooks, by the secret and the former one', async (t) => {
    const path = join(await folder(t), 'secret')
    const key = randomBytes(32)
    await writeFile(path, `whsec_${key.toString('base64')}\nthe former secret, as it is\n`)
    const { server } = await setUp(t, { secretFile: path })
    publish('manifest.pulled', pulled())
    await server.received(1)
    const [{ headers, body } = assert.fail()] = server.requests
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
    const expected = [key, 'the former secret, as it is'].map(
      (secret) => `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`,
    )
    assert.equal(headers['webhook-signature'], expected.join(' '))
    const ageSeconds = Date.now() / 1000 - Number(headers['webhook-timestamp'])
    assert.ok(ageSeconds >= 0 && ageSeconds < 600)
  })

  it('changes with the file, and a file that is gone changes nothing but is told', async (t) => {
    const path = join(await folder(t), 'secret')
    await writeFile(path, 'the first secret of this test')
    const { server } = await setUp(t, { secretFile: path })
    const checked = published(t, 'file.checked')
    await rm(path)
    publish('manifest.pulled', pulled())
    await server.received(1)
    assert.deepEqual(checked, [{ file: path, problem: `${path} cannot be read: ENOENT` }])
    await writeFile(path, 'another secret, which is longer')
    publish('manifest.pulled', pulled())
    await server.received(2)
    assert.deepEqual(checked.slice(1), [{ file: path, problem: undefined }])
    const secrets = ['the first secret of this test', 'another secret, which is longer']
    for (const [at, { headers, body }] of server.requests.entries()) {
      const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
      const hmac = createHmac('sha256', secrets[at] ?? '').update(signed)
      assert.equal(headers['webhook-signature'], `v1,${hmac.digest('base64')}`)
    }
  })

  it('needs a file that can be read and has a secret', async (t) => {
    const data = await folder(t)
    const context = { version: '1', markUsed: async () => false }
    const open = (secretFile: string) => new Webhooks([{ url: 'http://x', secretFile }], context).open()
    await assert.rejects(open(join(data, 'none')), /none cannot be read: ENOENT$/)
    await writeFile(join(data, 'short'), 'short')
    await assert.rejects(open(join(data, 'short')), /line 1 of .*short is no secret of 16 bytes or more/)
  })
})

describe('an event that was not taken', () => {
  it('is sent again with the same id until it is, and before the next one', async (t) => {
    const { server, webhooks } = await setUp(t)
    server.next.push(500, 503, 429, (response) => response.destroy(), 408)
    const all = ended(t, 2)
    pullTags('1', '2')
    await all
    assert.deepEqual(tagsOf(server), ['1', '1', '1', '1', '1', '1', '2'])
    assert.equal(new Set(server.all('id')).size, 2)
    const [{ name: _, ...state } = assert.fail()] = webhooks.states()
    assert.deepEqual(state, { waiting: 0, delivered: 2, dropped: 0, problem: undefined })
  })

  it('is sent again when the answer is late', async (t) => {
    const { server } = await setUp(t, {}, { ...QUICK, deadlineMs: 200, mostTries: 1000 })
    const all = ended(t, 2)
    // The head of an answer is enough.
    server.next.push('hang', (response) => response.writeHead(200).write('never ends'))
    pullTags('1', '2')
    assert.ok((await all).every(({ outcome }) => outcome === 'delivered'))
    const tags = tagsOf(server)
    assert.ok(tags.lastIndexOf('1') >= 1 && tags.indexOf('2') > tags.lastIndexOf('1'))
  })

  it('is dropped when it is refused, and a redirect is not followed', async (t) => {
    const { server } = await setUp(t)
    const all = ended(t, 3)
    server.next.push(400, (response) => response.writeHead(302, { location: '/elsewhere' }).end())
    pullTags('1', '2', '3')
    assert.deepEqual(
      (await all).map(({ outcome, problem }) => `${outcome}: ${problem}`),
      [
        'refused: it has answered 400',
        'refused: it has answered 302, and redirects are not followed',
        'delivered: undefined',
      ],
    )
    assert.ok(server.requests.every(({ path }) => path.startsWith('/hook')))
  })

  it('is dropped after so many attempts, or when it has waited for too long', async (t) => {
    const { server } = await setUp(t, {}, { ...QUICK, mostTries: 2 })
    const all = ended(t, 2)
    server.next.push(500, 500)
    pullTags('1', '2')
    assert.deepEqual(
      (await all).map(({ outcome }) => outcome),
      ['late', 'delivered'],
    )
    const old = await setUp(t, {}, { ...QUICK, mostAgeMs: -1 })
    const late = ended(t, 1)
    pullTags('3')
    assert.equal((await late)[0]?.outcome, 'late')
    assert.equal(old.server.requests.length, 0)
  })

  it('gives way when too many wait: the oldest is dropped', async (t) => {
    const { server, webhooks } = await setUp(t, {}, { ...QUICK, mostWaiting: 2 })
    const all = ended(t, 5)
    const responses: { end(): unknown }[] = []
    server.next.push((response) => responses.push(response.writeHead(204)))
    pullTags('1')
    await server.received(1)
    pullTags('2', '3', '4', '5')
    assert.deepEqual(webhooks.states()[0]?.waiting, 3)
    for (const response of responses) response.end()
    assert.deepEqual(
      (await all).map(({ outcome }) => outcome),
      ['full', 'full', 'delivered', 'delivered', 'delivered'],
    )
    assert.deepEqual(tagsOf(server), ['1', '4', '5'])
  })
})

describe('at a stop', () => {
  it('what waits is sent at once, without a pause', async (t) => {
    const { server, webhooks } = await setUp(
      t,
      {},
      { ...QUICK, firstPauseMs: 3_600_000, longestPauseMs: 3_600_000 },
    )
    const failed = new Promise<void>((resolve) =>
      addCleanup(
        t,
        subscribe('webhook.failed', () => resolve()),
      ),
    )
    server.next.push(500)
    pullTags('1', '2')
    await failed
    await webhooks.close({ drainMs: 60_000 })
    assert.deepEqual(tagsOf(server), ['1', '1', '2'])
    pullTags('4')
    assert.equal(webhooks.states()[0]?.waiting, 0)
  })

  it('what a silent receiver has not taken in time is dropped', async (t) => {
    const { server, webhooks } = await setUp(t)
    server.next.push('hang')
    pullTags('1', '2')
    await server.received(1)
    const all = published(t, 'webhook.ended')
    await webhooks.close({ drainMs: 0 })
    assert.deepEqual(
      all.map(({ outcome }) => outcome),
      ['stopped', 'stopped'],
    )
    assert.equal(webhooks.states()[0]?.dropped, 2)
  })
})

it('a log never has the path of a URL, a header or a secret', async (t) => {
  const data = await folder(t)
  const [secretFile, headersFile] = [join(data, 'secret'), join(data, 'headers')]
  await writeFile(secretFile, 'the-secret-that-signs-all')
  await writeFile(headersFile, '# for the receiver\nAuthorization: Bearer header-secret\n')
  const { server, url, webhooks } = await setUp(t, { secretFile, headersFile })
  const lines: string[] = []
  const log = startLog({ level: 'trace', stream: { write: (line: string) => lines.push(line) } })
  const all = ended(t, 2)
  server.next.push((response) => response.destroy(), 500, 400)
  pullTags('1', '2')
  await all
  log.close()
  const text = lines.join('') + JSON.stringify(webhooks.states())
  assert.match(text, new RegExp(new URL(url).host))
  assert.doesNotMatch(text, /very-secret-key|header-secret|the-secret-that-signs|\/hook/)
  assert.equal(server.requests[0]?.headers['authorization'], 'Bearer header-secret')
  const dropped = lines.map((line) => JSON.parse(line)).filter(({ reason }) => reason === 'refused')
  assert.equal(dropped.length, 1)
})

it('webhooks of the same host have different names', () => {
  const context = { version: '1', markUsed: async () => false }
  const given = ['https://a/x', 'https://a/y', 'https://b:8443/'].map((url) => ({ url }))
  assert.deepEqual(
    new Webhooks(given, context).states().map(({ name }) => name),
    ['a#1', 'a#2', 'b:8443'],
  )
})
