import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OCI_MANIFEST } from '../../../../src/oci/media-types.ts'
import type { FakeS3 } from '../../../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../../../testkit/object-store/servers.ts'
import type { FaultyUpstream } from '../../../../testkit/registries/faulty-upstream.ts'
import { MIB, type RunningAgent, startAgent, startUpstream } from '../../../agent/running-agent.ts'
import { startFake } from '../../../object-store/bucket-fixture.ts'
import { dataKey, layerLink, manifestLink, tagLink } from '../../../object-store/filled-bucket.ts'
import { folder } from '../../../store/folder.ts'
import { type CommandResult, runAgent } from '../../agent-process.ts'

const APP = 'up.test/app'

interface Lab {
  readonly fake: FakeS3
  readonly upstream: FaultyUpstream
  readonly running: RunningAgent
  copy(...args: readonly string[]): Promise<CommandResult>
}

async function setUp(t: TestContext): Promise<Lab> {
  const fake = await startFake(t)
  const upstream = await startUpstream(t)
  const running = await startAgent(t, { upstream })
  const { admin } = running.agent.addresses
  const to = ['--to', 's3://images/cache', '--endpoint', fake.endpoint, '--admin', `127.0.0.1:${admin?.port}`]
  return { fake, upstream, running, copy: (...args) => runAgent(['copy', ...args, ...to], TEST_KEYS) }
}

/** Adds an image of two layers and its signature to upstream. Gives the keys of all that a copy has of it. */
function addImage(upstream: FaultyUpstream): { readonly keys: readonly string[]; readonly large: string } {
  const { manifest, config, layers } = upstream.addImage('app', '1', [randomBytes(9 * MIB), randomBytes(100)])
  const empty = Buffer.from('{}')
  const described = (mediaType: string, digest: string, size: number) => ({ mediaType, digest, size })
  const signature = upstream.addManifest(
    'app',
    undefined,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: 'application/vnd.test.signature',
      config: described('application/vnd.oci.empty.v1+json', upstream.addBlob(empty), empty.length),
      layers: [],
      subject: described(OCI_MANIFEST, manifest, 500),
    }),
  )
  const blobs = [config, ...layers]
  return {
    large: dataKey(layers[0] ?? config),
    keys: [
      ...[...blobs, manifest, signature].map(dataKey),
      ...blobs.map((digest) => layerLink(APP, digest)),
      ...[manifest, signature].map((digest) => manifestLink(APP, digest)),
      tagLink(APP, '1'),
    ],
  }
}

test('an image is copied whole, with its referrers, and its tag last', async (t) => {
  const { fake, upstream, copy } = await setUp(t)
  const { keys } = addImage(upstream)
  const { code, out, err } = await copy('up.test/app:1')
  assert.deepEqual([code, err], [0, ''])
  assert.match(
    out,
    /^copied {2}up\.test\/app:1 {2}sha256:\w{64} {2}2 manifests, 4 blobs, 9\.0 MiB, with 1 referrer\nCopied 1 image with 9\.0 MiB in /,
  )
  for (const key of keys) assert.ok(fake.objects.get(key) !== undefined, key)
  for (const key of fake.objects.keys().filter((each) => each.endsWith('/data'))) {
    const bytes = fake.objects.get(key)?.bytes ?? Buffer.alloc(0)
    assert.ok(key.includes(createHash('sha256').update(bytes).digest('hex')))
  }
  const written = fake.requests.filter(({ method }) => method === 'PUT').map(({ key }) => key)
  assert.equal(written.at(-1), tagLink(APP, '1'))
  assert.deepEqual(fake.objects.uploads(), [])

  const again = await copy('up.test/app:1')
  assert.match(again.out, /, 9\.0 MiB already there, with 1 referrer\n/)
})

test('a dry run says how much would be sent, and writes nothing', async (t) => {
  const { fake, upstream, copy } = await setUp(t)
  addImage(upstream)
  const { code, out } = await copy('up.test/app:1', '--dry-run')
  assert.equal(code, 0)
  assert.match(out, /^would be copied {2}up\.test\/app:1 .*\nWould copy 1 image with 9\.0 MiB in /)
  assert.deepEqual(fake.objects.keys(), [])
  assert.ok(fake.requests.every(({ method }) => method === 'HEAD'))
  const json = await copy('up.test/app:1', '--dry-run', '--json')
  const lines = json.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(lines.at(-1).is, 'done')
  assert.equal(lines.at(-1).writtenBytes, lines.at(-1).bytes)
})

test('a copy that fails sets no tag, and the next one continues it', async (t) => {
  const { fake, upstream, copy } = await setUp(t)
  const { keys, large } = addImage(upstream)
  fake.faultOf = ({ method, query }) =>
    method === 'PUT' && query.includes('partNumber=2')
      ? { kind: 'error', status: 403, code: 'AccessDenied' }
      : undefined
  const failed = await copy('up.test/app:1')
  assert.equal(failed.code, 1)
  assert.match(failed.err, /^agent: up\.test\/app:1 cannot be copied: s3:\/\/images\/cache: AccessDenied/)
  assert.match(failed.err, /; correct that where it is written, and run the command again to continue$/m)
  assert.equal(fake.objects.get(tagLink(APP, '1')), undefined)
  assert.equal(fake.objects.get(large), undefined)
  fake.faultOf = () => undefined
  const before = fake.requests.length
  assert.equal((await copy('up.test/app:1')).code, 0)
  for (const key of keys) assert.ok(fake.objects.get(key) !== undefined, key)
  const parts = fake.requests.slice(before).filter(({ query }) => query.includes('partNumber='))
  assert.deepEqual(
    parts.map(({ query }) => /partNumber=\d/.exec(query)?.[0]),
    ['partNumber=2'],
  )
})

test('in the bucket of the settings names have the registry as the settings say', async (t) => {
  const { fake, upstream, copy } = await setUp(t)
  addImage(upstream)
  const config = join(await folder(t), 'leat.yaml')
  const setting = `objectStore:\n  url: s3://images/cache\n  endpoint: ${fake.endpoint}\n  registry: up.test\n`
  await writeFile(config, setting)
  assert.equal((await copy('up.test/app:1', '--config', config)).code, 0)
  assert.ok(fake.objects.get(tagLink('app', '1')) !== undefined)
  await writeFile(config, setting.replace('images/cache', 'images/other'))
  assert.equal((await copy('up.test/app:1', '--config', config)).code, 0)
  assert.ok(fake.objects.get(tagLink(APP, '1')) !== undefined)
})

test('a wrong place is refused before anything is read', async () => {
  const wrong = await runAgent(['copy', 'alpine', '--to', 'oci:folder'])
  assert.deepEqual(
    [wrong.code, wrong.err],
    [2, 'agent: --to is "oci:folder"; expected s3://BUCKET or s3://BUCKET/PREFIX\n'],
  )
  const none = await runAgent(['copy', 'alpine'])
  assert.match(none.err, /^agent: copy needs --to/)
  const secret = await runAgent(['copy', 'a', '--to', 's3://bucket', '--endpoint', 'https://u:p@s3.test'])
  assert.equal(
    secret.err,
    'agent: --endpoint has a wrong value; expected a URL such as https://s3.corp:9000\n',
  )
})
