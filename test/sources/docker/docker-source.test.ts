import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { childrenOf, parseManifest } from '../../../src/oci/manifest.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { LocalSource } from '../../../src/ports/local-source.ts'
import { type LocalSources, openSources } from '../../../src/sources/sources.ts'
import type { Store } from '../../../src/store/store.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { openStore } from '../../store/folder.ts'
import { hub, open, readWhole, temporaryFolder } from '../files/files.ts'
import { RecordedDocker } from './recorded-docker.ts'

const signal = new AbortController().signal
const SMALL = hub('acme/small')
const ROOT = 'sha256:efb6ee8b0ca1aaa964a4a24a78d1649d0330bed99f1ff87690d31157aecd7061'

interface Lab {
  readonly docker: RecordedDocker
  readonly source: LocalSource
  readonly sources: LocalSources
  readonly store: Store
}

async function startLab(t: TestContext, { maxBytes = 1_000_000 } = {}): Promise<Lab> {
  const folder = await temporaryFolder(t)
  const docker = await RecordedDocker.start(folder)
  t.after(() => docker.stop())
  const store = await openStore({ path: join(folder, 'data'), maxBytes: { bytes: maxBytes } })
  t.after(() => store.close())
  const from = { kind: 'docker', host: `unix://${docker.socketPath}` } as const
  const sources = await openSources([{ from }], store, 'docker.io')
  t.after(() => sources.close())
  return { docker, store, sources, source: sources.list[0] ?? assert.fail('no source') }
}

async function bytesOf(source: LocalSource, digest: string): Promise<Buffer> {
  return readWhole(await open(source, SMALL, digest, 'manifest'))
}

test('an image that Docker keeps in containerd is served as it is: index, manifests and compressed layers', async (t) => {
  const { source, docker } = await startLab(t)
  const tags = await Promise.all(
    Array.from({ length: 20 }, () => source.tag(SMALL, 'v1', { signal: new AbortController().signal })),
  )
  for (const tag of tags) {
    assert.equal(tag?.digest, ROOT)
    assert.equal(tag?.mediaType, 'application/vnd.oci.image.index.v1+json')
  }
  assert.equal(docker.saves, 1, 'one archive for all who ask')
  const queue: string[] = [ROOT]
  let contents = 0
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    const bytes = await bytesOf(source, digest)
    assert.equal(digestOf(bytes), digest)
    contents += 1
    const manifest = parseManifest(bytes)
    if (manifest.ok) queue.push(...childrenOf(manifest.value).map((child) => String(child.digest)))
  }
  assert.equal(contents, 9)
  assert.equal(docker.saves, 1)
})

test('an image is told from others without a save, and inspected once', async (t) => {
  const { source, docker } = await startLab(t)
  for (let asked = 0; asked < 2; asked += 1)
    assert.deepEqual(await source.identify(SMALL, 'v1', { signal }), { manifest: ROOT, configs: [] })
  assert.equal(docker.inspections, 1)
  assert.equal(await source.identify(SMALL, 'v2', { signal }), undefined)
  assert.equal(docker.saves, 0)
})

test('after the first request all of the image is known under its name, with its references', async (t) => {
  const { source, store } = await startLab(t)
  await source.tag(SMALL, 'v1', { signal })
  assert.deepEqual(await store.repositoriesOf(ROOT as Digest), [SMALL])
  assert.equal((await store.references(ROOT as Digest)).length, 2)
  assert.equal(store.usage().blobs, 9)
})

test('what was evicted is saved again', async (t) => {
  const { source, store, docker } = await startLab(t)
  await source.tag(SMALL, 'v1', { signal })
  await store.remove(ROOT as Digest)
  assert.equal(digestOf(await bytesOf(source, ROOT)), ROOT)
  assert.equal(docker.saves, 2)
})

test('a save that fails is not begun again before a pause is over, and the state of the source says so', async (t) => {
  const { source, sources, docker } = await startLab(t)
  docker.savesHalf = true
  await assert.rejects(source.tag(SMALL, 'v1', { signal }), /the archive is cut short/)
  const [state] = await sources.states()
  const problem = /^acme\/small:v1 could not be saved: The archive .* cut short\.$/
  assert.equal(state?.repositories, 1)
  assert.match(state?.problem ?? '', problem)
  docker.savesHalf = false
  const again = await Promise.allSettled(
    Array.from({ length: 20 }, () => source.tag(SMALL, 'v1', { signal })),
  )
  // A machine that is slow enough has the pause behind it by now.
  for (const one of again) {
    if (one.status === 'rejected') assert.match(String(one.reason), /taken in 1 s/)
  }
  assert.ok(docker.saves <= 2)
})

test('an image that the store has no room for is saved once, and the answer says what to do', async (t) => {
  const { source, docker, sources } = await startLab(t, { maxBytes: 1_000 })
  for (let asked = 0; asked < 2; asked++) {
    await assert.rejects(source.tag(SMALL, 'v1', { signal }), (error) => {
      assert.ok(error instanceof Failure)
      assert.ok(['disk', 'busy'].includes(error.code))
      return true
    })
  }
  assert.ok(docker.saves <= 2)
  assert.match((await sources.states())[0]?.problem ?? '', /^acme\/small:v1 could not be saved/)
})

test('other names and digests are not in Docker', async (t) => {
  const { source } = await startLab(t)
  assert.equal(await source.tag(SMALL, 'v2', { signal }), undefined)
  assert.equal(await source.tag(hub('acme/other'), 'v1', { signal }), undefined)
  assert.equal(await open(source, SMALL, `sha256:${'0'.repeat(64)}`), undefined)
  assert.equal(await open(source, hub('acme/other'), ROOT), undefined)
})

test('a daemon that is away is said to be so, and is used again when it is back', async (t) => {
  const { source, docker } = await startLab(t)
  await source.tag(SMALL, 'v1', { signal })
  await docker.stop()
  await assert.rejects(source.tag(SMALL, 'v1', { signal }), {
    code: 'busy',
    message:
      /^Docker at unix:\/\/\S+ cannot be reached \(.*\)\. Start it, or let this user open its socket\.$/,
  })
  await docker.start()
  assert.equal((await source.tag(SMALL, 'v1', { signal }))?.digest, ROOT)
})
