import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { Warming } from '../../src/warm/warming.ts'
import { MemoryTarget } from './memory-target.ts'

const APP = { registry: 'up.test', name: 'app' }

function targetWithImage(layers: number): { target: MemoryTarget; image: string } {
  const target = new MemoryTarget()
  const descriptors = Array.from({ length: layers }, (_, i) => {
    const bytes = Buffer.from(`layer ${i}`)
    return { digest: target.resolver.putBlob(APP, bytes), size: bytes.length }
  })
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, layers: descriptors }
  const digest = target.resolver.putManifest(APP, Buffer.from(JSON.stringify(manifest)), OCI_MANIFEST)
  return { target, image: `up.test/app@${digest}` }
}

function blobRequests({ resolver }: MemoryTarget): number {
  return resolver.asked.filter((request) => request.startsWith('blob ')).length
}

const OPTIONS = { platforms: [], referrers: false, pin: false }

test('six blobs are requested at once, and none is started after the client has left', async () => {
  const { target, image } = targetWithImage(20)
  let open = (): void => {}
  target.resolver.answersAfter = new Promise((resolve) => {
    open = resolve
  })
  const disconnect = new AbortController()
  const lines = new Warming(target).warm({ images: [image], ...OPTIONS, signal: disconnect.signal })
  assert.equal((await lines.next()).value?.is, 'progress')
  const next = lines.next()
  while (target.resolver.asked.length === 0) await new Promise(setImmediate)
  // From here on the resolver answers the manifest, but no blob.
  target.resolver.answersAfter = new Promise(() => {})
  open()
  while (blobRequests(target) < 6) await new Promise(setImmediate)
  disconnect.abort()
  await assert.rejects(async () => {
    await next
    for await (const line of lines) assert.notEqual(line.is, 'done')
  }, /abort/)
  assert.equal(blobRequests(target), 6)
  await target.resolver.allClosed()
})

test('an image whose parts were evicted during the run is reported as failed at the end', async () => {
  const { target, image } = targetWithImage(3)
  const lines = []
  for await (const line of new Warming(target).warm({
    images: [image],
    ...OPTIONS,
    signal: new AbortController().signal,
  })) {
    lines.push(line)
    const [, layer = ''] = /blob \S+ (\S+)/.exec(target.resolver.asked.at(-1) ?? '') ?? []
    if (line.is === 'image' && line.error === null) target.evicted.add(layer as never)
  }
  const errors = lines.flatMap((line) => (line.is === 'image' ? [line.error] : []))
  assert.equal(errors[0], null)
  assert.match(
    errors[1] ?? '',
    /^parts of \S+ \(1\) were evicted while other images were stored; raise --max-bytes, or warm fewer images$/,
  )
  const done = lines.at(-1)
  assert.ok(done?.is === 'done' && done.failed === 1)
})

test('with an aborted signal no blob is requested', async () => {
  const { target, image } = targetWithImage(1)
  const lines = new Warming(target).warm({ images: [image], ...OPTIONS, signal: AbortSignal.abort() })
  await assert.rejects(async () => {
    for await (const line of lines) assert.equal(line.is, 'progress')
  })
  assert.equal(blobRequests(target), 0)
})
