import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bucketLab } from './bucket-lab.ts'

test('while the bucket fails, pulls go on with what the node has', async (t) => {
  const lab = await bucketLab(t)
  const agent = await lab.start()
  const image = await agent.push('one', { tag: 'v1' })
  assert.equal(await agent.tag('v1'), image.manifest)
  lab.fake.faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  assert.equal(await agent.tag('v1'), image.manifest)
  const answer = await agent.send('team/app/manifests/v1')
  assert.match(answer.headers.get('cache-status') ?? '', /stale-if-error/)
  await answer.arrayBuffer()
  await agent.pull(image)
})

test('while the bucket fails, what the node does not have is unavailable, and not absent', async (t) => {
  const lab = await bucketLab(t)
  const image = await (await lab.start()).push('one', { tag: 'v1' })
  const agent = await lab.start()
  lab.fake.faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  for (const path of [
    'manifests/v1',
    `manifests/${image.manifest}`,
    `blobs/${image.config}`,
    'tags/list',
    `referrers/${image.manifest}`,
  ]) {
    const status = await agent.status(`team/app/${path}`)
    assert.ok(status === 502 || status === 503, `${path}: ${status}`)
  }
})

test('a tag that the bucket does not have any more is forgotten, also for the time when the bucket fails', async (t) => {
  const lab = await bucketLab(t)
  const [one, other] = [await lab.start(), await lab.start()]
  const image = await one.push('one', { tag: 'v1' })
  assert.equal(await other.tag('v1'), image.manifest)
  assert.equal(await one.status('team/app/manifests/v1', 'DELETE'), 202)
  assert.equal(await other.tag('v1'), undefined)
  lab.fake.faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  for (const agent of [one, other]) {
    const status = await agent.status('team/app/manifests/v1')
    assert.ok(status === 502 || status === 503, `${status}`)
  }
})

test('a tag whose manifest the repository does not have any more is absent', async (t) => {
  const lab = await bucketLab(t)
  const [one, other] = [await lab.start(), await lab.start()]
  const image = await one.push('one', { tag: 'v1' })
  const link = lab.fake.objects
    .keys()
    .find((key) => key.includes(`revisions/sha256/${image.manifest.slice(7)}`))
  lab.fake.objects.delete(link ?? assert.fail())
  assert.equal(await other.tag('v1'), undefined)
})

test('the catalog and the list of tags are those of the bucket', async (t) => {
  const lab = await bucketLab(t)
  const [one, other] = [await lab.start(), await lab.start()]
  assert.equal(await other.status('team/app/tags/list'), 404)
  await one.push('one', { tag: 'v2' })
  await one.push('two', { tag: 'v1' })
  await one.push('three', { repository: 'team/deep/app' })
  const list = (await (await other.send('team/app/tags/list')).json()) as { tags: string[] }
  assert.deepEqual(list.tags, ['v1', 'v2'])
  const untagged = (await (await other.send('team/deep/app/tags/list')).json()) as { tags: string[] }
  assert.deepEqual(untagged.tags, [])
  const catalog = (await (await other.send('_catalog')).json()) as { repositories: string[] }
  assert.deepEqual(catalog.repositories, ['team/app', 'team/deep/app'])
})

test('content that is cached under another name is served only when the bucket has it in the repository', async (t) => {
  const lab = await bucketLab(t)
  const agent = await lab.start()
  const image = await agent.push('one', { repository: 'team/secret' })
  assert.equal(await agent.status(`team/app/blobs/${image.config}`), 404)
  assert.equal(await agent.status(`team/app/manifests/${image.manifest}`), 404)
})

test('repositories that are not hosted are answered by the next resolver, and take no push', async (t) => {
  const lab = await bucketLab(t)
  const agent = await lab.start()
  const image = lab.upstream.addImage('app', 'v1', [Buffer.from('layer')])
  assert.equal(await agent.tag('v1', 'up.test/app'), image.manifest)
  assert.equal(await agent.status('up.test/app/blobs/uploads/', 'POST'), 405)
})
