import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { findProgram, requirePrograms, requireRoot, run } from '../../../testkit/programs.ts'
import {
  buildArtefact,
  buildArtefacts,
  buildBuildKitIndex,
  buildDockerList,
} from '../../../testkit/registries/artefacts.ts'
import type { Image, Index } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { runInProcess } from '../../cli/run-in-process.ts'
import { startNginx } from './nginx.ts'

const artefacts: Readonly<Record<string, Image | Index>> = {
  ...buildArtefacts('served by nginx'),
  list: buildDockerList('served by nginx'),
  buildkit: buildBuildKitIndex('served by nginx'),
}

/** The folder of one image, as skopeo copies it from the registry. */
async function copied(skopeo: string, folder: string, source: string): Promise<ReadonlyMap<string, Buffer>> {
  await run(skopeo, [
    ...['--insecure-policy', 'copy', '--quiet', '--all', '--preserve-digests', '--src-tls-verify=false'],
    ...[`docker://${source}`, `dir:${folder}`],
  ])
  const files = new Map<string, Buffer>()
  for (const name of await readdir(folder)) files.set(name, await readFile(join(folder, name)))
  return files
}

/** A chart as helm itself packs it. */
async function packedChart(helm: string, folder: string): Promise<Image> {
  const chart = join(folder, 'app')
  await mkdir(join(chart, 'templates'), { recursive: true })
  const metadata = { apiVersion: 'v2', name: 'app', version: '1.0.0' }
  await writeFile(join(chart, 'Chart.yaml'), JSON.stringify(metadata))
  await writeFile(join(chart, 'templates/config.yaml'), 'apiVersion: v1\nkind: ConfigMap\n')
  await run(helm, ['package', chart, '--destination', folder])
  return buildArtefact({
    config: {
      mediaType: 'application/vnd.cncf.helm.config.v1+json',
      bytes: Buffer.from(JSON.stringify(metadata)),
    },
    layers: [
      {
        mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
        bytes: await readFile(join(folder, 'app-1.0.0.tgz')),
      },
    ],
  })
}

/** Exports images from an OCI layout, and serves them by nginx. */
async function serve(
  t: TestContext,
  nginx: string,
  folder: string,
  images: Readonly<Record<string, Image | Index>>,
): Promise<string> {
  await writeFiles(join(folder, 'layout'), layoutFiles(images))
  const root = join(folder, 'registry')
  const to = ['--to', `static:${root}`, '--nginx', join(root, 'registry.conf')]
  const { code, err } = await runInProcess(['export', '--from', `oci:${join(folder, 'layout')}`, ...to])
  assert.deepEqual([code, err], [0, ''])
  return startNginx(t, nginx, folder, root)
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

test('skopeo copies artefacts of every kind, manifest lists of Docker and what BuildKit makes, from nginx', async (t) => {
  const programs = requirePrograms(t, ['nginx', 'skopeo'])
  if (programs === undefined || !requireRoot(t)) return
  const folder = await temporaryFolder(t)
  const images = Object.fromEntries(
    Object.entries(artefacts).map(([kind, image]) => [`acme/${kind}:v1`, image]),
  )
  const address = await serve(t, programs.nginx, folder, images)
  const { sha512, ...others } = artefacts
  assert.ok(sha512 !== undefined && 'blobs' in sha512)
  // skopeo cannot write them.
  for (const { digest, bytes } of [sha512.manifest, ...sha512.blobs]) {
    const kind = bytes === sha512.manifest.bytes ? 'manifests' : 'blobs'
    const response = await fetch(`http://${address}/v2/acme/sha512/${kind}/${digest}`)
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes)
  }
  for (const [kind, image] of Object.entries(others)) {
    const files = await copied(programs.skopeo, join(folder, kind), `${address}/acme/${kind}:v1`)
    assert.deepEqual(files.get('manifest.json'), image.manifest.bytes, kind)
    const blobs = 'images' in image ? image.images.flatMap((one) => one.blobs) : image.blobs
    for (const { bytes } of blobs) {
      assert.ok(
        [...files.values()].some((file) => file.equals(bytes)),
        kind,
      )
    }
  }
})

test('helm pulls a chart from nginx', async (t) => {
  const helm = findProgram('helm', [join(homedir(), 'go/bin')])
  if (helm === undefined) return t.skip('missing: helm (go install helm.sh/helm/v3/cmd/helm@latest)')
  const programs = requirePrograms(t, ['nginx'])
  if (programs === undefined || !requireRoot(t)) return
  const folder = await temporaryFolder(t)
  const chart = await packedChart(helm, folder)
  const address = await serve(t, programs.nginx, folder, { 'acme/app:1.0.0': chart })
  const out = join(folder, 'pulled')
  await mkdir(out)
  await run(helm, [
    ...['pull', `oci://${address}/acme/app`, '--version', '1.0.0', '--plain-http', '--destination', out],
  ])
  assert.deepEqual(await readFile(join(out, 'app-1.0.0.tgz')), chart.blobs[1]?.bytes)
})
