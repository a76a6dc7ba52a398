import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { examineSources } from '../../src/sources/examine.ts'
import { buildImage } from '../../testkit/registries/image.ts'
import { layoutFiles, skopeoFiles, writeFiles } from '../../testkit/registries/image-folders.ts'
import { RecordedDocker } from './docker/recorded-docker.ts'
import { temporaryFolder } from './files/files.ts'

/** Only a slow machine needs so long. */
const PATIENCE_MS = 60_000

test('the images of a Docker daemon are counted without a store', async (t) => {
  const folder = await temporaryFolder(t)
  const docker = await RecordedDocker.start(folder)
  t.after(() => docker.stop())
  const host = `unix://${docker.socketPath}`
  const [all, none, gone] = await examineSources(
    [
      { from: { kind: 'docker', host } },
      { from: { kind: 'docker', host }, prefixes: ['other/'], isExclusive: true },
      { from: { kind: 'docker', host: `unix://${join(folder, 'none')}` } },
    ],
    'docker.io',
    PATIENCE_MS,
  )
  assert.ok((all?.repositories ?? 0) > 0)
  assert.deepEqual([none?.repositories, none?.isExclusive], [0, true])
  assert.match(gone?.problem ?? '', /Start it, or let this user open its socket\.$/)
})

test('images that an agent would not serve are named', async (t) => {
  const folder = await temporaryFolder(t)
  const docker = await RecordedDocker.start(folder)
  t.after(() => docker.stop())
  const [app, other] = [buildImage('app'), buildImage('other')]
  await writeFiles(join(folder, 'layout'), layoutFiles({ 'acme/small:v1': app, 'acme/app:v1': other }))
  await writeFiles(join(folder, 'dir/acme/app/v1'), skopeoFiles(app))
  const states = await examineSources(
    [
      { from: { kind: 'oci', path: join(folder, 'layout') } },
      { from: { kind: 'docker', host: `unix://${docker.socketPath}` } },
      { from: { kind: 'dir', path: join(folder, 'dir') } },
    ],
    'docker.io',
    PATIENCE_MS,
  )
  const hidden = states.map((state) =>
    state.hidden.map(({ image, digest, servedDigest }) => ({ image, digest, servedDigest })),
  )
  const small = 'sha256:efb6ee8b0ca1aaa964a4a24a78d1649d0330bed99f1ff87690d31157aecd7061'
  assert.deepEqual(hidden, [
    [],
    [{ image: 'docker.io/acme/small:v1', digest: small, servedDigest: app.manifest.digest }],
    [
      {
        image: 'docker.io/acme/app:v1',
        digest: app.manifest.digest,
        servedDigest: other.manifest.digest,
      },
    ],
  ])
  assert.equal(docker.saves, 0)
})
