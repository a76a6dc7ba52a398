import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { Warming } from '../../src/warm/warming.ts'
import { MemoryPlace } from './memory-place.ts'

const APP = { registry: 'up.test', name: 'app' }

function place(layers: number): { place: MemoryPlace; image: string } {
  const made = new MemoryPlace()
  const descriptors = Array.from({ length: layers }, (_, i) => {
    const bytes = Buffer.from(`layer ${i}`)
    return { digest: made.resolver.putBlob(APP, bytes), size: bytes.length }
  })
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, layers: descriptors }
  const digest = made.resolver.putManifest(APP, Buffer.from(JSON.stringify(manifest)), OCI_MANIFEST)
  return { place: made, image: `up.test/app@${digest}` }
}

function blobsAsked({ resolver }: MemoryPlace): number {
  return resolver.asked.filter((what) => what.startsWith('blob ')).length
}

const how = { platforms: [], referrers: false, pin: false }

test('so many blobs are asked for at once, and none any more when nobody waits', async () => {
  const { place: node, image } = place(20)
  let open = (): void => {}
  node.resolver.held = new Promise((resolve) => {
    open = resolve
  })
  const leaving = new AbortController()
  const lines = new Warming(node).warm({ images: [image], ...how, signal: leaving.signal })
  assert.equal((await lines.next()).value?.is, 'progress')
  const next = lines.next()
  while (node.resolver.asked.length === 0) await new Promise(setImmediate)
  // The manifest is let through, and not the blobs.
  node.resolver.held = new Promise(() => {})
  open()
  while (blobsAsked(node) < 6) await new Promise(setImmediate)
  leaving.abort()
  await assert.rejects(async () => {
    await next
    for await (const line of lines) assert.notEqual(line.is, 'done')
  }, /abort/)
  assert.equal(blobsAsked(node), 6)
  await node.resolver.allClosed()
})

test('an image that has lost parts again while others came is told as failed, after all', async () => {
  const { place: node, image } = place(3)
  const all = []
  for await (const line of new Warming(node).warm({
    images: [image],
    ...how,
    signal: new AbortController().signal,
  })) {
    all.push(line)
    const [, layer = ''] = /blob \S+ (\S+)/.exec(node.resolver.asked.at(-1) ?? '') ?? []
    if (line.is === 'image' && line.error === null) node.lost.add(layer as never)
  }
  const told = all.flatMap((line) => (line.is === 'image' ? [line.error] : []))
  assert.equal(told[0], null)
  assert.match(
    told[1] ?? '',
    /lost 1 of its parts again while others came: .* raise --max-bytes, or warm less$/,
  )
  const done = all.at(-1)
  assert.ok(done?.is === 'done' && done.failed === 1)
})

test('a signal that is aborted before it begins is an end before anything is asked', async () => {
  const { place: node, image } = place(1)
  const lines = new Warming(node).warm({ images: [image], ...how, signal: AbortSignal.abort() })
  await assert.rejects(async () => {
    for await (const line of lines) assert.equal(line.is, 'progress')
  })
  assert.equal(blobsAsked(node), 0)
})
