import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { readContent } from '../../conformance/blob-steps.ts'
import { folder, published, smallDisk } from '../../store/folder.ts'
import { hostedLab, NEVER, OTHER, pushBlob, send, TEAM, write } from '../lab.ts'

const SHA256 = { algorithm: 'sha256' } as const
const sizes = [0, 1, 65_535, 65_536, 65_537, 3_000_000]

for (const size of sizes) {
  test(`an upload of ${size} bytes in one request or several becomes a linked blob`, async (t) => {
    const lab = await hostedLab(t)
    for (const parts of [1, 3]) {
      const bytes = randomBytes(size)
      const digest = digestOf(bytes)
      const { id, position } = await lab.uploads.begin(TEAM, SHA256)
      assert.equal(position, 0)
      const step = Math.ceil(size / parts)
      for (let part = 0; part < parts - 1; part++) {
        await send(lab, id, bytes.subarray(part * step, (part + 1) * step))
        const end = Math.min(size, (part + 1) * step)
        assert.deepEqual(await lab.uploads.state(TEAM, id), { id, position: end })
      }
      await send(lab, id, bytes.subarray((parts - 1) * step), { digest })
      assert.equal(await lab.uploads.state(TEAM, id), undefined)
      const link = await lab.store.hosted.catalog.link(TEAM, digest)
      assert.equal(link?.kind, 'blob')
      const content = await lab.store.blobs.open(digest)
      assert.ok(content)
      assert.deepEqual(await readContent(content), bytes)
      await content.close()
    }
    assert.deepEqual(await readdir(join(lab.path, 'partial')), [])
    assert.deepEqual(await lab.store.catalog.repositories(), [], 'the cache knows nothing of it')
  })
}

test('an upload continues after a restart where its status says', async (t) => {
  const path = await folder(t)
  const bytes = randomBytes(400_000)
  const first = await hostedLab(t, { path })
  const [large, small, empty] = await Promise.all([1, 2, 3].map(() => first.uploads.begin(TEAM, SHA256)))
  assert.ok(large && small && empty)
  await send(first, large.id, bytes.subarray(0, 300_000))
  await send(first, small.id, bytes.subarray(0, 10))
  await first.uploads.close()
  await first.store.close()
  const lab = await hostedLab(t, { path })
  assert.equal((await lab.uploads.state(TEAM, large.id))?.position, 300_000)
  assert.equal((await lab.uploads.state(TEAM, small.id))?.position, 10)
  assert.equal((await lab.uploads.state(TEAM, empty.id))?.position, 0)
  await send(lab, large.id, bytes.subarray(300_000), { digest: digestOf(bytes) })
  const [start, rest] = [bytes.subarray(0, 10), bytes.subarray(10, 20)]
  await send(lab, small.id, rest, { digest: digestOf(Buffer.concat([start, rest])) })
  assert.equal(await lab.uploads.cancel(TEAM, empty.id), true)
  assert.equal(lab.uploads.size, 0)
})

test('bytes with another digest end the upload and are not stored', async (t) => {
  const lab = await hostedLab(t)
  const bytes = randomBytes(100_000)
  const { id } = await lab.uploads.begin(TEAM, SHA256)
  await assert.rejects(send(lab, id, bytes, { digest: digestOf(randomBytes(3)) }), { code: 'corrupt' })
  assert.equal(await lab.uploads.state(TEAM, id), undefined)
  assert.equal(await lab.store.blobs.facts(digestOf(bytes)), undefined)
  assert.deepEqual(await readdir(join(lab.path, 'partial')), [])
})

test('a digest of sha512 names an upload that was begun as sha256, and the other way round', async (t) => {
  const lab = await hostedLab(t)
  for (const [algorithm, other] of [
    ['sha256', 'sha512'],
    ['sha512', 'sha256'],
    ['sha512', 'sha512'],
  ] as const) {
    const bytes = randomBytes(150_000)
    const digest = digestOf(bytes, other)
    const { id } = await lab.uploads.begin(TEAM, { algorithm })
    await send(lab, id, bytes.subarray(0, 70_000))
    await send(lab, id, bytes.subarray(70_000), { digest })
    assert.ok(await lab.store.hosted.catalog.link(TEAM, digest))
    assert.equal((await lab.store.blobs.checkpoints(digest)) === undefined, algorithm !== other)
  }
})

test('a blob that is stored already is linked, and the bytes of the upload are dropped', async (t) => {
  const lab = await hostedLab(t)
  const bytes = randomBytes(100_000)
  await pushBlob(lab.registry, bytes)
  const committed = lab.store.usage()
  const digest = await pushBlob(lab.registry, bytes, OTHER)
  assert.deepEqual(lab.store.usage(), committed)
  assert.deepEqual(await lab.store.hosted.catalog.repositoriesOf(digest), [TEAM, OTHER])
  assert.deepEqual(await readdir(join(lab.path, 'partial')), [])
})

test('while one request writes, another one and a cancellation are refused', async (t) => {
  const lab = await hostedLab(t)
  const { id } = await lab.uploads.begin(TEAM, SHA256)
  const writer = await lab.uploads.open(TEAM, id, { size: undefined, signal: NEVER })
  assert.ok(writer)
  await assert.rejects(lab.uploads.open(TEAM, id, { size: 1, signal: NEVER }), { code: 'busy' })
  await assert.rejects(lab.uploads.cancel(TEAM, id), { code: 'busy' })
  await write(writer, Buffer.from('first'))
  await writer.close()
  await send(lab, id, Buffer.from('second'), { digest: digestOf(Buffer.from('firstsecond')) })
})

test('an upload exists only in its repository', async (t) => {
  const lab = await hostedLab(t)
  const { id } = await lab.uploads.begin(TEAM, SHA256)
  for (const [repository, wrong] of [
    [OTHER, id],
    [TEAM, 'f'.repeat(64)],
    [TEAM, '../../index'],
  ] as const) {
    assert.equal(await lab.uploads.state(repository, wrong), undefined)
    assert.equal(await lab.uploads.open(repository, wrong, { size: 1, signal: NEVER }), undefined)
    assert.equal(await lab.uploads.cancel(repository, wrong), false)
  }
  assert.equal(await lab.uploads.cancel(TEAM, id), true)
  assert.equal(await lab.uploads.cancel(TEAM, id), false)
})

test('there are only so many uploads, of one repository and in all', async (t) => {
  const lab = await hostedLab(t, { limits: { inAll: 3, perRepository: 2 } })
  const begin = (repository = TEAM) => lab.uploads.begin(repository, SHA256)
  const results = await Promise.allSettled([begin(), begin(), begin()])
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'fulfilled', 'rejected'])
  await begin(OTHER)
  await assert.rejects(begin(OTHER), { code: 'busy' })
  const [first] = results
  assert.ok(first?.status === 'fulfilled')
  await lab.uploads.cancel(TEAM, first.value.id)
  await begin(OTHER)
})

test('an upload that got no byte for a day is removed, while the agent runs and at the start', async (t) => {
  const path = await folder(t)
  const lab = await hostedLab(t, { path })
  const [old, left, young] = await Promise.all([1, 2, 3].map(() => lab.uploads.begin(TEAM, SHA256)))
  assert.ok(old && left && young)
  const age = async (id: string) => {
    const then = new Date(Date.now() - 25 * 60 * 60 * 1000)
    await utimes(join(path, 'partial', `sha256-${id}`, 'data'), then, then)
  }
  await age(old.id)
  await lab.uploads.sweep()
  assert.equal(await lab.uploads.state(TEAM, old.id), undefined)
  await age(left.id)
  await lab.uploads.close()
  await lab.store.close()
  const again = await hostedLab(t, { path })
  assert.equal(await again.uploads.state(TEAM, left.id), undefined)
  assert.equal((await again.uploads.state(TEAM, young.id))?.position, 0)
})

test('an upload whose file was evicted is gone', async (t) => {
  const lab = await hostedLab(t, { maxBytes: 1_000_000 })
  const { id } = await lab.uploads.begin(TEAM, SHA256)
  await send(lab, id, randomBytes(300_000))
  await lab.uploads.close()
  await lab.store.gc({ toBytes: 0, signal: NEVER })
  assert.equal(await lab.uploads.state(TEAM, id), undefined)
  assert.equal(await lab.uploads.open(TEAM, id, { size: 1, signal: NEVER }), undefined)
  assert.equal(lab.uploads.size, 0)
})

test('an upload without room in the disk budget is refused, with and without a size, and goes on when there is room', async (t) => {
  const lab = await hostedLab(t, { maxBytes: 1_000_000, limits: { stepBytes: 200_000 } })
  const kept = await pushBlob(lab.registry, randomBytes(600_000))
  const { id } = await lab.uploads.begin(TEAM, SHA256)
  await assert.rejects(lab.uploads.open(TEAM, id, { size: 700_000, signal: NEVER }), { code: 'disk' })
  const writer = await lab.uploads.open(TEAM, id, { size: undefined, signal: NEVER })
  assert.ok(writer)
  await write(writer, randomBytes(700_000))
  await assert.rejects(writer.close(), { code: 'disk' })
  assert.ok(await lab.uploads.state(TEAM, id), 'the upload is still there')
  const small = await pushBlob(lab.registry, randomBytes(100))
  assert.ok(await lab.store.blobs.facts(kept))
  assert.ok(await lab.store.blobs.facts(small))
})

test('a disk that is full in the middle of an upload ends the request, and the store goes on', async (t) => {
  const disk = await smallDisk(t, 24 * 1024 * 1024)
  if (disk === undefined) return
  const lab = await hostedLab(t, { path: join(disk, 'data') })
  addCleanup(t, () => lab.store.close())
  const before = await pushBlob(lab.registry, randomBytes(1_000_000))
  const { id } = await lab.uploads.begin(TEAM, SHA256)
  await assert.rejects(send(lab, id, randomBytes(30_000_000)), { code: 'disk' })
  assert.ok(await lab.store.blobs.facts(before))
  assert.equal(await lab.uploads.cancel(TEAM, id), true)
  await pushBlob(lab.registry, randomBytes(1_000_000))
})

test('a request that is aborted keeps what has come', async (t) => {
  const lab = await hostedLab(t)
  const { id } = await lab.uploads.begin(TEAM, SHA256)
  const aborting = new AbortController()
  const writer = await lab.uploads.open(TEAM, id, { size: 1000, signal: aborting.signal })
  assert.ok(writer)
  await write(writer, Buffer.alloc(600, 1))
  aborting.abort(new Error('the client is gone'))
  await writer.close()
  assert.equal((await lab.uploads.state(TEAM, id))?.position, 600)
})

test('only a few contents stay open between two requests', async (t) => {
  const lab = await hostedLab(t, { limits: { openBetweenRequests: 2 } })
  const ids: string[] = []
  for (let n = 0; n < 5; n++) {
    const { id } = await lab.uploads.begin(TEAM, SHA256)
    await send(lab, id, Buffer.from(`${n}`))
    ids.push(id)
  }
  const reused = published(t, 'store.committed')
  for (const [n, id] of ids.entries()) {
    await send(lab, id, Buffer.from('!'), { digest: digestOf(Buffer.from(`${n}!`)) })
  }
  assert.equal(reused.length, 5)
})
