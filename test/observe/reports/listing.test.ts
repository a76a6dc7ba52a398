import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import * as v from 'valibot'
import { listBlobs, listImages } from '../../../src/observe/reports/listing.ts'
import { BlobReport, ImageReport } from '../../../src/schemas/content-report.ts'
import { digestOf, MemoryNode } from '../memory-node.ts'

let node: MemoryNode

beforeEach(() => {
  node = new MemoryNode()
})

async function images(): Promise<ImageReport[]> {
  const all: ImageReport[] = []
  for await (const image of listImages(node)) all.push(v.parse(ImageReport, image))
  return all
}

test('every stored blob is listed with its origin', async () => {
  node.put('layer')
  node.put('other')
  const all: BlobReport[] = []
  for await (const blob of listBlobs(node)) all.push(v.parse(BlobReport, blob))
  assert.deepEqual(all.map(({ digest }) => digest).sort(), [digestOf('layer'), digestOf('other')].sort())
  assert.equal(all[0]?.origin, 'upstream registry-1.docker.io')
})

test('an image is whole when all its parts are stored', async () => {
  const image = node.putImage(['one', 'two'])
  node.tagAs('3.20', image.digest)
  const [found] = await images()
  assert.equal(found?.state, 'whole')
  assert.equal(found.bytesHere, image.size + '{}'.length + 'one'.length + 'two'.length)
})

test('an image without one of its layers is partial, and one without its manifest is absent', async () => {
  node.tagAs('partial', node.putImage(['one', 'two'], ['two']).digest)
  node.tagAs('absent', digestOf('gone'))
  const [partial, absent] = await images()
  assert.equal(partial?.state, 'partial')
  assert.equal(absent?.state, 'absent')
  assert.equal(absent.bytesHere, 0)
})

test('a layer that an image has twice counts once', async () => {
  const image = node.putImage(['same', 'same'])
  node.tagAs('twice', image.digest)
  assert.equal((await images())[0]?.bytesHere, image.size + '{}'.length + 'same'.length)
})

test('an index is whole when one of its platforms is complete, and lists the complete platforms', async () => {
  const amd = node.putImage(['amd'])
  const arm = node.putImage(['arm'], ['arm'])
  const attestation = node.putImage(['sbom'])
  const manifests = [
    { ...amd, platform: { os: 'linux', architecture: 'amd64' } },
    { ...arm, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
    { ...attestation, platform: { os: 'unknown', architecture: 'unknown' } },
    { digest: digestOf('elsewhere'), size: 5, platform: { os: 'windows', architecture: 'amd64' } },
  ]
  node.tagAs('multi', node.put(JSON.stringify({ schemaVersion: 2, manifests }), 'manifest').digest)
  const [found] = await images()
  assert.equal(found?.state, 'whole')
  assert.deepEqual(found.platforms, ['linux/amd64'])
})

test('unique bytes, shared bytes and the tags that share them are listed for each image', async () => {
  const one = node.putImage(['base', 'mine'])
  const other = node.putImage(['base', 'yours!'])
  node.tagAs('one', one.digest)
  node.tagAs('other', other.digest)
  node.tagAs('unshared', node.put('not json', 'manifest').digest)
  const [first, second, third] = await images()
  const shared = '{}'.length + 'base'.length
  assert.deepEqual(
    [first?.uniqueBytes, first?.sharedBytes, first?.sharesWith],
    [one.size + 'mine'.length, shared, ['docker.io/library/alpine:other']],
  )
  assert.deepEqual([second?.uniqueBytes, second?.sharedBytes], [other.size + 'yours!'.length, shared])
  assert.deepEqual([third?.uniqueBytes, third?.sharesWith], ['not json'.length, []])
  assert.equal(first?.bytesHere, (first?.uniqueBytes ?? 0) + shared)
})

test('all bytes of an image with two tags are shared, as removing one tag frees nothing', async () => {
  const image = node.putImage(['layer'])
  node.tagAs('a', image.digest)
  node.tagAs('b', image.digest)
  for (const found of await images())
    assert.deepEqual([found.uniqueBytes > 0, found.sharedBytes], [false, found.bytesHere])
})

test('pinned images and their parts are listed as pinned, and no others', async () => {
  const image = node.putImage(['layer'])
  node.put('other')
  node.tagAs('pinned', image.digest)
  node.tagAs('not', node.putImage(['more']).digest)
  node.pinned.add(image.digest)
  assert.deepEqual(
    (await images()).map(({ tag, pinned }) => [tag, pinned]),
    [
      ['pinned', true],
      ['not', false],
    ],
  )
  const pinned = new Map<string, boolean>()
  for await (const blob of listBlobs(node)) pinned.set(blob.digest, blob.pinned)
  assert.deepEqual(
    [image.digest, digestOf('layer'), digestOf('other'), digestOf('more')].map((digest) =>
      pinned.get(digest),
    ),
    [true, true, false, false],
  )
})

test('an image whose manifest is not valid JSON is listed as partial', async () => {
  node.tagAs('bad', node.put('not json', 'manifest').digest)
  node.tagAs('good', node.putImage(['x']).digest)
  assert.deepEqual(
    (await images()).map(({ tag, state }) => [tag, state]),
    [
      ['bad', 'partial'],
      ['good', 'whole'],
    ],
  )
})
