import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { inputFromChunks } from '../../../src/lib/tar/inputs.ts'
import { TarWriter } from '../../../src/lib/tar/tar-writer.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { ContentWriter } from '../../../src/sources/docker/content-writer.ts'
import { ImageImport, type Save } from '../../../src/sources/docker/image-import.ts'
import { readStoredManifest } from '../../../src/sources/docker/stored-manifest.ts'
import type { Store } from '../../../src/store/store.ts'
import { buildArtefacts, buildBuildKitIndex, buildDockerList } from '../../../testkit/registries/artefacts.ts'
import type { Image, Index } from '../../../testkit/registries/image.ts'
import { type Files, layoutFiles, partsOf } from '../../../testkit/registries/image-folders.ts'
import { openStore } from '../../store/folder.ts'
import { hub, temporaryFolder } from '../files/files.ts'

interface Lab {
  readonly store: Store
  readonly work: ImageImport
}

async function startLab(t: TestContext): Promise<Lab> {
  const store = await openStore({ path: join(await temporaryFolder(t), 'data') })
  t.after(() => store.close())
  const work = new ImageImport({
    facts: (digest) => store.blobs.facts(digest),
    manifest: async (digest) => (await readStoredManifest(store.blobs, digest))?.manifest,
    writer: new ContentWriter(store.receiver, hub('acme/app'), 'a test'),
  })
  return { store, work }
}

/** Saves an archive of these files, as a daemon does that keeps its images in containerd. */
function saveOf(files: Files): Save {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const written: Uint8Array[] = []
    const writer = new TarWriter(async (bytes) => void written.push(Uint8Array.from(bytes)))
    for (const [name, bytes] of files) {
      await writer.addFile(name, bytes.length)
      await writer.write(bytes)
    }
    await writer.end()
    yield* written
  }
  return async () => ({ ...inputFromChunks(chunks()), close() {} })
}

async function importOf(work: ImageImport, image: Image | Index, files = layoutFiles({ v1: image })) {
  return work.containerd(image.manifest.digest as Digest, image.manifest.mediaType, saveOf(files))
}

test('artefacts of every kind, by SHA-512 too, manifest lists of Docker and what BuildKit makes are stored as they are', async (t) => {
  const { store, work } = await startLab(t)
  const images = [...Object.values(buildArtefacts('saved')), buildDockerList('saved')]
  for (const image of [...images, buildBuildKitIndex('saved')]) {
    const { contents } = await importOf(work, image)
    for (const { digest } of partsOf(image)) {
      assert.ok(contents.has(digest as Digest), digest)
      assert.ok(await store.blobs.facts(digest as Digest), digest)
    }
  }
})

test('a content that is not what its name says is refused, whatever the algorithm', async (t) => {
  for (const kind of ['sha512', 'model'] as const) {
    const { store, work } = await startLab(t)
    const image = buildArtefacts('altered')[kind] ?? assert.fail(kind)
    for (const { digest, bytes } of partsOf(image)) {
      const altered = Buffer.from(bytes)
      altered[altered.length - 2] = 0x20
      const files = layoutFiles({ v1: image }).set(`blobs/${digest.replace(':', '/')}`, altered)
      await assert.rejects(importOf(work, image, files), { code: /corrupt|unavailable/ })
      assert.equal(await store.blobs.facts(digest as Digest), undefined)
    }
  }
})
