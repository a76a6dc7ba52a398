import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { AwsClient } from 'aws4fetch'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { freePort } from '../../../testkit/daemon.ts'
import { startVersitygw, TEST_KEYS } from '../../../testkit/object-store/servers.ts'
import { requirePrograms, requireRoot } from '../../../testkit/programs.ts'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { runInProcess } from '../../cli/run-in-process.ts'
import { containerd } from '../kinds/containerd.ts'
import { podman } from '../kinds/podman.ts'
import { skopeo } from '../kinds/skopeo.ts'

const app = buildImage('in a bucket', { layerSizes: [300_000, 100] })
const list = buildIndex('list in a bucket')
/** The website of versitygw has the bucket under the name of the host. */
const BUCKET = 'localhost'
const WEBSITE =
  '<WebsiteConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>'
const READABLE = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Principal: '*', Action: ['s3:GetObject'], Resource: [`arn:aws:s3:::${BUCKET}/*`] },
  ],
})

test('the website of a bucket serves a static tree to every client, with the types that --types has listed', async (t) => {
  const programs = requirePrograms(t, ['skopeo', 'podman', 'containerd', 'ctr'])
  if (programs === undefined || !requireRoot(t)) return
  // Short, because the path of a Unix socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const port = await freePort()
  const server = await startVersitygw(t, join(folder, 's3'), {
    bucket: BUCKET,
    more: ['--website', `127.0.0.1:${port}`, '--website-domain', BUCKET],
  })
  if (server === undefined) return

  const [tree, types] = [join(folder, 'registry'), join(folder, 'types.tsv')]
  await writeFiles(join(folder, 'layout'), layoutFiles({ 'acme/app:v1': app, 'acme/list:v1': list }))
  const args = ['export', '--from', `oci:${join(folder, 'layout')}`, '--to', `static:${tree}`]
  assert.equal((await runInProcess(args)).code, 0)
  // podman and skopeo name the registry in the path.
  assert.equal((await runInProcess([...args, '--name-prefix', 'registry.test', '--types', types])).code, 0)

  const keys = { accessKeyId: TEST_KEYS.AWS_ACCESS_KEY_ID, secretAccessKey: TEST_KEYS.AWS_SECRET_ACCESS_KEY }
  const client = new AwsClient({ ...keys, service: 's3', region: 'us-east-1' })
  const put = async (
    path: string,
    body: string | Uint8Array<ArrayBuffer>,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const answer = await client.fetch(`${server.endpoint}/${BUCKET}${path}`, { method: 'PUT', body, headers })
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`)
  }
  await put('?website', WEBSITE)
  await put('?policy', READABLE)
  for (const line of (await readFile(types, 'utf8')).trim().split('\n')) {
    const [path = '', type = ''] = line.split('\t')
    await put(`/${path}`, new Uint8Array(await readFile(join(tree, path))), { 'content-type': type })
  }

  for (const kind of [skopeo, podman, containerd]) {
    await t.test(kind.name, async (t) => {
      const client = await kind.start(programs, join(folder, kind.name), `${BUCKET}:${port}`)
      addCleanup(t, () => client.stop())
      for (const reference of ['v1', app.manifest.digest]) {
        const name = { repository: 'acme/app', reference }
        await client.pull(name)
        await client.check(name, app)
        await client.forget()
      }
      await client.pull({ repository: 'acme/list', reference: 'v1' })
    })
  }
})
