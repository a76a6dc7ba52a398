import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AgentProcess } from '../../../testkit/agent-process.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { requirePrograms, requireRoot, run } from '../../../testkit/programs.ts'
import { BUILDKIT_ARCHIVE, BUILDKIT_IMAGE } from '../../../testkit/registries/buildkit-archive.ts'
import { buildImage, type Image, type ImagePart } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { runAgent } from '../../cli/agent-process.ts'
import { containerd } from '../kinds/containerd.ts'
import { podman } from '../kinds/podman.ts'

const ZSTD_LAYER = 'application/vnd.oci.image.layer.v1.tar+zstd'
const app = buildImage('zstd', { layerSizes: [700_000, 100] })
/** Nobody else has the image, so that all of it comes from the agent. */
const UPSTREAM = 'upstreams:\n  - {namespace: registry.test, host: "127.0.0.1:1", tls: false}\n'

const CLIENTS = ['podman', 'containerd', 'ctr'] as const

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
}

async function temporaryFolder(t: TestContext): Promise<string> {
  // Short, because the path of a Unix socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

/** The image `acme/app:v1` of a layout. */
async function readImage(layout: string): Promise<Image> {
  const part = async ({ mediaType, digest }: Descriptor): Promise<ImagePart> => ({
    mediaType,
    digest,
    bytes: await readFile(join(layout, 'blobs', digest.replace(':', '/'))),
  })
  const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'))
  const manifest = await part(index.manifests[0])
  const { config, layers } = JSON.parse(manifest.bytes.toString())
  return { manifest, blobs: await Promise.all([config, ...layers].map(part)), files: app.files }
}

test('layers that skopeo has compressed with zstd are unpacked by clients', async (t) => {
  const programs = requirePrograms(t, ['skopeo', ...CLIENTS])
  if (programs === undefined || !requireRoot(t)) return
  const folder = await temporaryFolder(t)
  const [gzip, plain, layout] = [join(folder, 'gzip'), join(folder, 'plain'), join(folder, 'layout')]
  await writeFiles(gzip, layoutFiles({ v1: app }))
  const copy = ['--insecure-policy', 'copy', '--quiet']
  await run(programs.skopeo, [...copy, '--dest-decompress', `oci:${gzip}:v1`, `dir:${plain}`])
  const compress = ['--dest-compress', '--dest-compress-format', 'zstd']
  await run(programs.skopeo, [...copy, ...compress, `dir:${plain}`, `oci:${layout}:acme/app:v1`])
  const image = await readImage(layout)
  const [, ...layers] = image.blobs
  assert.deepEqual(
    layers.map(({ mediaType }) => mediaType),
    [ZSTD_LAYER, ZSTD_LAYER],
  )
  await pullEverywhere(t, programs, { folder, path: layout, transport: 'oci', image })
})

test('an image of a real BuildKit, with layers of zstd and provenance, is unpacked by clients', async (t) => {
  const programs = requirePrograms(t, CLIENTS)
  if (programs === undefined || !requireRoot(t)) return
  const layer: ImagePart = { digest: BUILDKIT_IMAGE.layer, mediaType: ZSTD_LAYER, bytes: Buffer.alloc(0) }
  const index: ImagePart = { ...layer, digest: BUILDKIT_IMAGE.index }
  await pullEverywhere(t, programs, {
    folder: await temporaryFolder(t),
    path: BUILDKIT_ARCHIVE,
    transport: 'oci-archive',
    image: { manifest: index, blobs: [layer], files: BUILDKIT_IMAGE.files },
  })
})

interface Given {
  readonly folder: string
  /** A layout, or an archive of one, that has the image as `acme/app:v1`. */
  readonly path: string
  readonly transport: string
  readonly image: Image
}

/** Has podman and containerd pull the image from an agent whose source it is, and from one that has imported it. */
async function pullEverywhere(
  t: TestContext,
  programs: Record<string, string>,
  { folder, path, transport, image }: Given,
): Promise<void> {
  const source = await AgentProcess.start(
    join(folder, 'source'),
    `${UPSTREAM}sources:\n  - {ociLayout: "${path}", registry: registry.test}\n`,
  )
  addCleanup(t, () => source.stop())
  const store = await AgentProcess.start(join(folder, 'store'), UPSTREAM)
  addCleanup(t, () => store.stop())
  const data = ['--data', join(store.folder, 'data')]
  const imported = await runAgent(['import', `${transport}:${path}`, '--registry', 'registry.test', ...data])
  assert.equal(imported.code, 0, imported.err)
  for (const [from, agent] of Object.entries({ source, store })) {
    for (const kind of [podman, containerd]) {
      await t.test(`${kind.name}, from the ${from}`, async (t) => {
        const client = await kind.start(programs, join(folder, `${from}-${kind.name}`), agent.address)
        addCleanup(t, () => client.stop())
        const name = { repository: 'acme/app', reference: 'v1' }
        await client.pull(name)
        await client.check(name, image)
      })
    }
  }
}
