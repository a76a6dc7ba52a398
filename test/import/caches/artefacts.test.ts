import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Transport } from '../../../src/import/open-import.ts'
import { buildArtefacts, buildBuildKitIndex, buildDockerList } from '../../../testkit/registries/artefacts.ts'
import type { Image, ImagePart, Index } from '../../../testkit/registries/image.ts'
import { type Files, partsOf, writeArchive, writeFiles } from '../../../testkit/registries/image-folders.ts'
import {
  containerdArchiveFiles,
  dockerRegistryFiles,
  ociRegistryFiles,
  registryProxyFiles,
} from '../../../testkit/registries/kept-images.ts'
import { type ImportLab, startLab } from '../import-lab.ts'

const artefacts: Readonly<Record<string, Image | Index>> = {
  ...buildArtefacts('kept'),
  list: buildDockerList('kept'),
  buildkit: buildBuildKitIndex('kept'),
}
const images = Object.fromEntries(
  Object.entries(artefacts).map(([kind, image]) => [`up.test/acme/${kind}:v1`, image]),
)

interface Form {
  readonly transport: Transport
  readonly files: (images: Readonly<Record<string, Image | Index>>) => Files
  /** Where the tool knows a manifest by SHA-256 only, as by the tag. */
  readonly rootIsSha256: boolean
}

const FORMS: readonly Form[] = [
  { transport: 'docker-archive', files: containerdArchiveFiles, rootIsSha256: false },
  { transport: 'docker-registry', files: dockerRegistryFiles, rootIsSha256: false },
  { transport: 'oci-registry', files: ociRegistryFiles, rootIsSha256: true },
  { transport: 'registry-proxy', files: registryProxyFiles, rootIsSha256: true },
]

async function importOf(lab: ImportLab, { transport }: Form, files: Files) {
  const rest = join(lab.folder, 'kept')
  if (transport === 'docker-archive') await writeArchive(rest, files)
  else await writeFiles(rest, files)
  return lab.run({ transport, rest })
}

function bySha256({ bytes, mediaType }: ImagePart): ImagePart {
  return { bytes, mediaType, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

for (const form of FORMS) {
  test(`artefacts of every kind are taken over from ${form.transport}`, async (t) => {
    const lab = await startLab(t)
    const { done, leftOut } = await importOf(lab, form, form.files(images))
    assert.deepEqual([done.failed, leftOut], [0, []])
    for (const [kind, image] of Object.entries(artefacts)) {
      const root = form.rootIsSha256 ? bySha256(image.manifest) : image.manifest
      assert.equal(await lab.tagOf({ registry: 'up.test', name: `acme/${kind}` }, 'v1'), root.digest, kind)
      for (const { digest } of [root, ...partsOf(image).slice(1)]) {
        assert.ok(await lab.isStored(digest), `${kind} ${digest}`)
      }
    }
  })

  test(`an image of Docker schema 1 is refused with a sentence in ${form.transport}`, async (t) => {
    const lab = await startLab(t)
    const mediaType = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 1, name: 'acme/old', tag: 'v1', fsLayers: [] }))
    const old = { manifest: bySha256({ mediaType, bytes, digest: '' }), blobs: [], files: new Map() }
    const model = artefacts['model'] ?? assert.fail()
    const files = form.files({ 'up.test/acme/old:v1': old, 'up.test/acme/model:v1': model })
    if (form.transport === 'docker-archive') files.set('manifest.json', Buffer.from('[]'))
    const { leftOut, images } = await importOf(lab, form, files)
    assert.match(leftOut.map(({ error }) => error).join(' '), /schema 1/)
    assert.equal(images.filter(({ error }) => error === null).length, 1)
    assert.equal(await lab.tagOf({ registry: 'up.test', name: 'acme/old' }, 'v1'), undefined)
  })
}
