import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { subscribe } from '../../../src/observe/events.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { imageOf } from '../lab.ts'
import { bucketLab, ROOT } from './bucket-lab.ts'

const DAY_MS = 24 * 60 * 60 * 1000

test('an agent with an empty disk serves what another one has answered', async (t) => {
  const lab = await bucketLab(t)
  const first = await lab.start()
  const image = await first.push('one', { tag: 'v1', layer: randomBytes(9 * 1024 * 1024) })
  await first.running.stop({ drainMs: 0 })
  const second = await lab.start()
  assert.equal(await second.tag('v1'), image.manifest)
  await second.pull(image)
})

test('the bucket has the layout of the distribution registry', async (t) => {
  const lab = await bucketLab(t)
  const { manifest, config, layers } = await (await lab.start()).push('one', { tag: 'v1' })
  const path = (digest: string) => digest.replace(':', '/')
  const data = (digest: string) =>
    `${ROOT}/blobs/${path(digest).replace(/\/(..)/, (whole, two) => `/${two}${whole}`)}/data`
  const repository = `${ROOT}/repositories/localhost/team/app`
  assert.deepEqual(
    lab.fake.objects.keys().sort(),
    [
      ...[manifest, config, ...layers].map(data),
      ...[config, ...layers].map((digest) => `${repository}/_layers/${path(digest)}/link`),
      `${repository}/_manifests/revisions/${path(manifest)}/link`,
      `${repository}/_manifests/tags/v1/current/link`,
      `${repository}/_manifests/tags/v1/index/${path(manifest)}/link`,
    ].sort(),
  )
  const link = lab.fake.objects.get(`${repository}/_manifests/tags/v1/current/link`)
  assert.equal(link?.bytes.toString(), manifest)
})

test('a manifest is refused while the bucket lacks what it needs, wherever that is cached', async (t) => {
  const lab = await bucketLab(t)
  const agent = await lab.start()
  const config = await agent.pushBlob(Buffer.from('{}'), 'team/other')
  const bytes = imageOf({ config, layers: [] })
  const answer = await agent.putManifest(bytes, 'v1')
  assert.equal(answer.status, 400)
  assert.match(await answer.text(), /MANIFEST_BLOB_UNKNOWN/)
  assert.equal(await agent.tag('v1'), undefined)
  const mounted = await agent.send(`team/app/blobs/uploads/?mount=${config}&from=team/other`, {
    method: 'POST',
  })
  assert.equal(mounted.status, 201)
  assert.equal((await agent.putManifest(bytes, 'v1')).status, 201)
})

test('a blob of the cache is mounted, and then in the bucket', async (t) => {
  const lab = await bucketLab(t)
  const { layers } = lab.upstream.addImage('app', 'v1', [randomBytes(1000)])
  const layer = layers[0] ?? assert.fail()
  const agent = await lab.start()
  const isStored = new Promise<void>((resolve) => {
    const onEnded = ({ digest }: { digest: string }) => (digest === layer ? resolve() : undefined)
    t.after(subscribe('flight.ended', onEnded))
  })
  assert.equal((await agent.running.getBlob(layer)).status, 200)
  await isStored
  const path = `team/app/blobs/uploads/?mount=${layer}&from=up.test/app`
  assert.equal((await agent.send(path, { method: 'POST' })).status, 201)
  const other = await lab.start()
  assert.equal(await other.status(`team/app/blobs/${layer}`), 200)
})

test('a deleted manifest takes its tags with it, and is gone for other agents that have not asked for it', async (t) => {
  const lab = await bucketLab(t)
  const [one, other] = [await lab.start(), await lab.start()]
  const image = await one.push('one', { tag: 'v1' })
  const next = await one.push('two', { tag: 'v2' })
  assert.equal((await one.putManifest(await manifestOf(one, image.manifest), 'again')).status, 201)
  assert.equal(await one.status(`team/app/manifests/${image.manifest}`, 'DELETE'), 202)
  assert.equal(await one.status(`team/app/manifests/${image.manifest}`), 404)
  assert.equal(await other.status(`team/app/manifests/${image.manifest}`), 404)
  const list = (await (await other.send('team/app/tags/list')).json()) as { tags: string[] }
  assert.deepEqual(list.tags, ['v2'])
  assert.equal(await other.tag('v2'), next.manifest)
  assert.equal(await one.status(`team/app/manifests/${image.manifest}`, 'DELETE'), 404)
})

test('a deleted blob is gone for the agent that has deleted it, which has it stored', async (t) => {
  const lab = await bucketLab(t)
  const agent = await lab.start()
  const blob = await agent.pushBlob(randomBytes(1000))
  assert.equal(await agent.status(`team/app/blobs/${blob}`), 200)
  assert.equal(await agent.status(`team/app/blobs/${blob}`, 'DELETE'), 202)
  assert.equal(await agent.status(`team/app/blobs/${blob}`), 404)
  assert.equal(await agent.status(`team/app/blobs/${blob}`, 'HEAD'), 404)
})

test('a manifest whose subject is named is a referrer for all agents at once, until it is deleted', async (t) => {
  const lab = await bucketLab(t)
  const [one, other] = [await lab.start(), await lab.start()]
  const image = await one.push('one', { tag: 'v1' })
  const found = async (): Promise<string[]> => {
    const answer = await other.send(`team/app/referrers/${image.manifest}`)
    assert.equal(answer.status, 200)
    const { manifests } = (await answer.json()) as { manifests: { digest: string }[] }
    return manifests.map(({ digest }) => digest)
  }
  assert.deepEqual(await found(), [])
  const signature = await one.push('signature', { subject: image.manifest })
  assert.deepEqual(await found(), [signature.manifest])
  assert.equal(await other.status(`team/app/manifests/${signature.manifest}`, 'DELETE'), 202)
  assert.deepEqual(await found(), [])
})

test('while the bucket fails, pushes are to be repeated, and nothing of them is visible', async (t) => {
  const lab = await bucketLab(t)
  const agent = await lab.start()
  const image = await agent.push('one', { tag: 'v1' })
  const bytes = await manifestOf(agent, image.manifest)
  lab.fake.faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  const blob = randomBytes(1000)
  const path = `team/app/blobs/uploads/?digest=${digestOf(blob)}`
  for (const answer of [
    await agent.send(path, { method: 'POST', body: blob }),
    await agent.putManifest(bytes, 'v2'),
    await agent.send('team/app/manifests/v1', { method: 'DELETE' }),
  ]) {
    assert.equal(answer.status, 503)
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
  }
  lab.fake.faultOf = () => undefined
  const other = await lab.start()
  assert.equal(await other.tag('v1'), image.manifest)
  assert.equal(await other.tag('v2'), undefined)
  assert.equal(await other.status(`team/app/blobs/${digestOf(blob)}`), 404)
})

test('what a push relies on is young afterwards, so that a collection of garbage leaves it', async (t) => {
  const lab = await bucketLab(t)
  const agent = await lab.start()
  const image = await agent.push('one', { tag: 'v1' })
  const bytes = await manifestOf(agent, image.manifest)
  const old = Date.now() - 3 * DAY_MS
  for (const key of lab.fake.objects.keys())
    lab.fake.objects.put(key, lab.fake.objects.get(key)?.bytes ?? assert.fail(), old)
  assert.equal((await (await lab.start()).putManifest(bytes, 'v2')).status, 201)
  const links = lab.fake.objects.keys().filter((key) => /_layers|revisions/.test(key))
  assert.equal(links.length, 3)
  for (const key of links) assert.ok((lab.fake.objects.get(key)?.modifiedAt ?? 0) > old, key)
})

async function manifestOf(agent: { send(path: string): Promise<Response> }, digest: string): Promise<Buffer> {
  return Buffer.from(await (await agent.send(`team/app/manifests/${digest}`)).arrayBuffer())
}
