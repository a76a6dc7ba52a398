import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inputFromChunks } from '../../../src/lib/tar/inputs.ts'
import { TarWriter } from '../../../src/lib/tar/tar-writer.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { readArchive } from '../../../src/sources/docker/saved-archive.ts'
import { buildIndex } from '../../../testkit/registries/image.ts'
import { type Files, layoutFiles, partsOf } from '../../../testkit/registries/image-folders.ts'

interface Taken {
  readonly blobs: Map<string, Buffer>
  readonly manifests: Map<string, string>
}

async function archiveOf(files: Files): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  const writer = new TarWriter(async (bytes) => void chunks.push(Uint8Array.from(bytes)))
  for (const [name, bytes] of files) {
    await writer.addFile(name, bytes.length)
    await writer.write(bytes)
  }
  await writer.end()
  return Buffer.concat(chunks)
}

async function take(archive: Uint8Array, needed = (_: Digest) => true): Promise<Taken> {
  const taken: Taken = { blobs: new Map(), manifests: new Map() }
  async function* chunks() {
    for (let at = 0; at < archive.length; at += 3000) yield archive.subarray(at, at + 3000)
  }
  await readArchive(inputFromChunks(chunks()), {
    isNeeded: async (digest) => needed(digest),
    blob: async (read, size, digest) => {
      const bytes = Buffer.alloc(size)
      for (let at = 0; at < size; ) at += await read(bytes.subarray(at))
      taken.blobs.set(digest ?? 'unknown', bytes)
    },
    manifest: async ({ bytes, mediaType }) => {
      taken.manifests.set(Buffer.from(bytes).toString(), mediaType)
    },
  })
  return taken
}

test('of an archive that is an OCI layout, blobs come first and manifests last, each with its type', async () => {
  const index = buildIndex('save')
  const taken = await take(await archiveOf(layoutFiles({ 'acme/app:v1': index })))
  const manifests = [index.manifest, ...index.images.map((image) => image.manifest)]
  for (const { bytes, mediaType } of manifests) assert.equal(taken.manifests.get(bytes.toString()), mediaType)
  for (const { digest, bytes } of partsOf(index)) {
    if (manifests.some((manifest) => manifest.digest === digest)) continue
    assert.deepEqual(taken.blobs.get(digest), bytes)
  }
})

test('of an archive with a folder for each layer, layers come without and the config with its digest', async () => {
  const config = 'a'.repeat(64)
  const taken = await take(
    await archiveOf(
      new Map([
        [`${'1'.repeat(64)}/VERSION`, Buffer.from('1.0')],
        [`${'1'.repeat(64)}/json`, Buffer.from('{}')],
        [`${'1'.repeat(64)}/layer.tar`, Buffer.from('a layer')],
        [`${config}.json`, Buffer.from('{"rootfs":{}}')],
        ['manifest.json', Buffer.from('[]')],
        ['repositories', Buffer.from('{}')],
      ]),
    ),
  )
  assert.deepEqual(
    [...taken.blobs].map(([name, bytes]) => [name, bytes.toString()]),
    [
      ['unknown', 'a layer'],
      [`sha256:${config}`, '{"rootfs":{}}'],
    ],
  )
  assert.equal(taken.manifests.size, 0)
})

test('what is not needed is passed over', async () => {
  const index = buildIndex('save')
  const taken = await take(await archiveOf(layoutFiles({ v1: index })), () => false)
  assert.deepEqual([taken.blobs.size, taken.manifests.size], [0, 0])
})

test('an archive that is cut short, or leads elsewhere, is refused with a sentence', async () => {
  const whole = await archiveOf(new Map([[`${'1'.repeat(64)}/layer.tar`, Buffer.alloc(5000)]]))
  await assert.rejects(take(whole.subarray(0, 3000)), {
    code: 'unavailable',
    message: 'The archive that Docker has saved is unusable: the archive is cut short.',
  })
  const outside = await archiveOf(new Map([['../layer.tar', Buffer.from('x')]]))
  await assert.rejects(take(outside), /unusable: the name "\.\.\/layer\.tar" leads out of the archive\.$/)
})
