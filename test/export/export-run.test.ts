import assert from 'node:assert/strict'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ImageReader } from '../../src/export/readers/image-reader.ts'
import { StaticTree } from '../../src/export/static/static-tree.ts'
import { OciArchive } from '../../src/export/targets/oci-archive.ts'
import { OciFolder } from '../../src/export/targets/oci-folder.ts'
import { SkopeoFolder } from '../../src/export/targets/skopeo-folder.ts'
import type { ExportTarget } from '../../src/export/targets/target.ts'
import { Failure } from '../../src/ports/failure.ts'
import { buildImage } from '../../testkit/registries/image.ts'
import { exportTo, filesIn, layoutReader, temporaryFolder } from './fixture.ts'

const app = buildImage('app')
const TARGETS = {
  oci: (path: string) => OciFolder.open(path),
  'oci-archive': (path: string) => OciArchive.open(path),
  dir: (path: string) => SkopeoFolder.open(path, { isSingle: true }),
  static: (path: string) => StaticTree.open(path, { namePrefix: '' }),
}

/** Changes what the reader gives for one blob. */
function spoiled(
  reader: ImageReader,
  digest: string,
  change: (chunks: AsyncIterable<Uint8Array>, signal: AbortSignal) => AsyncIterable<Uint8Array>,
): ImageReader {
  return {
    manifest: (...args) => reader.manifest(...args),
    referrers: (...args) => reader.referrers(...args),
    blob(repository, blob, options) {
      const chunks = reader.blob(repository, blob, options)
      return blob.digest === digest ? change(chunks, options.signal) : chunks
    },
  }
}

/** Calls `onAdded` whenever a blob is whole in the target. */
function notingAdded(target: ExportTarget, onAdded: () => void): ExportTarget {
  return {
    isConcurrent: target.isConcurrent,
    finish: () => target.finish(),
    close: () => target.close(),
    async begin(image) {
      const writer = await target.begin(image)
      return {
        has: (blob) => writer.has(blob),
        commit: () => writer.commit(),
        async add(blob, chunks) {
          await writer.add(blob, chunks)
          onAdded()
        },
      }
    },
  }
}

for (const [kind, open] of Object.entries(TARGETS)) {
  test(`an export says what it has written, and a second one writes no blob again (${kind})`, async (t) => {
    const path = join(await temporaryFolder(t), 'target')
    const reader = await layoutReader(t, { 'acme/app:v1': app })
    const bytes = [app.manifest, ...app.blobs].reduce((sum, part) => sum + part.bytes.length, 0)
    const [image, done] = await exportTo(await open(path), reader, ['acme/app:v1'])
    assert.deepEqual(image, {
      ...{ is: 'image', image: 'docker.io/acme/app:v1', digest: app.manifest.digest },
      ...{ manifests: 1, blobs: 4, bytes, writtenBytes: bytes, referrers: 0, foreign: 0 },
      referrersProblem: null,
    })
    assert.ok(done?.is === 'done' && done.images === 1 && done.bytes === bytes)
    const [again] = await exportTo(await open(path), reader, ['acme/app:v1'])
    assert.ok(again?.is === 'image')
    assert.equal(again.writtenBytes, app.manifest.bytes.length)
  })

  test(`a damaged blob stops the export by its name, and leaves nothing of itself (${kind})`, async (t) => {
    const folder = await temporaryFolder(t)
    const reader = await layoutReader(t, { 'acme/app:v1': app }, { folder })
    const { digest } = app.blobs[1] ?? assert.fail()
    const wrong = spoiled(reader, digest, async function* (chunks) {
      for await (const chunk of chunks) yield Uint8Array.from(chunk, (byte) => byte ^ 1)
    })
    const short = spoiled(reader, digest, async function* (chunks) {
      for await (const chunk of chunks) yield chunk.subarray(1)
    })
    const long = spoiled(reader, digest, async function* (chunks) {
      yield* chunks
      yield Buffer.from('more')
    })
    for (const bad of [wrong, short, long]) {
      await assert.rejects(exportTo(await open(join(folder, 'target')), bad, ['acme/app:v1']), {
        name: 'ExportError',
        message: new RegExp(
          `^docker\\.io/acme/app:v1 cannot be exported: ${digest} is damaged where it was read: `,
        ),
      })
    }
    const left = await filesIn(folder)
    assert.ok(!left.some((name) => name.includes('leat-partial-')), String(left))
    assert.ok(!left.includes('target'), 'an archive is there only when it is whole')
    assert.ok(!left.includes('target/index.json') && !left.includes('target/manifest.json'))
    const [image] = await exportTo(await open(join(folder, 'target')), reader, ['acme/app:v1'])
    assert.ok(image?.is === 'image')
  })

  test(`an export that is interrupted leaves no partial file, and the next one continues it (${kind})`, async (t) => {
    const folder = await temporaryFolder(t)
    const path = join(folder, 'target')
    const reader = await layoutReader(t, { 'acme/app:v1': app })
    const stopping = new AbortController()
    const last = app.blobs.at(-1)?.digest ?? ''
    // biome-ignore lint/correctness/useYield: The blob hangs until the export is stopped.
    const hanging = spoiled(reader, last, async function* (_chunks, signal) {
      if (!signal.aborted) await once(signal, 'abort')
      throw signal.reason
    })
    let added = 0
    const target = notingAdded(await open(path), () => {
      added += 1
      if (added === app.blobs.length - 1) stopping.abort()
    })
    const interrupted = exportTo(target, hanging, ['acme/app:v1'], { signal: stopping.signal })
    await assert.rejects(interrupted, { name: 'AbortError' })
    assert.ok(!(await filesIn(folder)).some((name) => name.includes('leat-partial-')))
    const [image] = await exportTo(await open(path), reader, ['acme/app:v1'])
    assert.ok(image?.is === 'image')
    const lastBytes = app.blobs.at(-1)?.bytes.length ?? 0
    assert.equal(image.writtenBytes, app.manifest.bytes.length + lastBytes)
  })
}

test('a failure of the reader becomes a sentence that names the image and says what to do', async (t) => {
  const folder = await temporaryFolder(t)
  const reader = await layoutReader(t, { 'acme/app:v1': app })
  const [{ digest } = assert.fail()] = app.blobs
  const failing = spoiled(reader, digest, async function* (chunks) {
    yield* chunks
    throw new Failure('unavailable', 'registry.test gives no answer.')
  })
  await assert.rejects(exportTo(await OciFolder.open(join(folder, 'a')), failing, ['acme/app:v1']), {
    message:
      'docker.io/acme/app:v1 cannot be exported: registry.test gives no answer; run the command again to continue',
  })
  await assert.rejects(exportTo(await OciFolder.open(join(folder, 'a')), reader, ['acme/none:v1']), {
    message:
      /^docker\.io\/acme\/none:v1 cannot be exported: oci \S+ has no docker\.io\/acme\/none:v1; check the name$/,
  })
})

test('a target that cannot be written is named with the reason', async (t) => {
  const folder = await temporaryFolder(t)
  const reader = await layoutReader(t, { 'acme/app:v1': app }, { folder })
  const file = join(folder, 'layout/index.json')
  assert.ok((await stat(file)).isFile())
  for (const open of Object.values(TARGETS)) {
    await assert.rejects(
      async () => exportTo(await open(join(file, 'below')), reader, ['acme/app:v1']),
      /index\.json\/below\S* cannot be written: a file is where a folder is needed; remove it, or write elsewhere/,
    )
  }
})
