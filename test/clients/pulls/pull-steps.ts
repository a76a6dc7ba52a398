import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { buildImage, buildIndex, type Image, push } from '../../../testkit/registries/image.ts'
import type { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import type { ClientKind } from '../kinds/client.ts'
import { startPullLab } from './pull-lab.ts'

/** Defines the tests that every kind of client must pass. Each step builds on the ones before it. */
export function testPulls(kind: ClientKind): void {
  test(`${kind.name} pulls through the agent`, async (t) => {
    const lab = await startPullLab(t, [kind])
    const client = lab?.clients[0]
    if (lab === undefined || client === undefined) return
    const { upstream } = lab
    const image = buildImage('one image')
    const index = buildIndex('one index')
    const own = index.images[0]
    assert.ok(own)
    await push(upstream.url, 'library/app', 'v1', image)
    await push(upstream.url, 'library/many', 'v1', index)
    await upstream.forget()
    const byTag = { repository: 'library/app', reference: 'v1' }
    const byDigest = { repository: 'library/app', reference: image.manifest.digest }

    await t.test('a cold pull takes the manifest and every blob from upstream once', async () => {
      await client.pull(byTag)
      await client.check(byTag, image)
      await assertFetchedOnce(upstream, [image])
    })

    await t.test('the next pull requests nothing from upstream', async () => {
      await client.forget()
      await upstream.forget()
      await client.pull(byTag)
      await client.check(byTag, image)
      assert.deepEqual(await upstream.accesses(), [])
    })

    await t.test('only the image of this platform is fetched from an index', async () => {
      await upstream.forget()
      const name = { repository: 'library/many', reference: 'v1' }
      await client.pull(name)
      await client.check(name, own)
      await assertFetchedOnce(upstream, [index, own])
      for (const other of index.images.slice(1)) {
        for (const { digest } of [other.manifest, ...other.blobs])
          assert.equal(await upstream.fetches(digest), 0)
      }
    })

    await t.test('a tag that upstream does not have fails without a wait', async () => {
      await assert.rejects(client.pull({ repository: 'library/app', reference: 'missing' }))
    })

    await upstream.stop()

    await t.test('a pull by digest succeeds while upstream is down', async () => {
      await client.forget()
      await client.pull(byDigest)
      await client.check(byDigest, image)
    })

    await t.test('a restarted agent still serves a tag while upstream is down', async () => {
      assert.equal(await lab.restartAgent('0s'), 0)
      await client.forget()
      await client.pull(byTag)
      await client.check(byTag, image)
    })

    await upstream.start()

    await t.test('a tag that has moved is updated once upstream is back', async () => {
      const next = buildImage('the next image')
      await push(upstream.url, 'library/app', 'v1', next)
      await upstream.forget()
      // After several failures the circuit of upstream is open for a while, so the pull is repeated.
      const deadline = Date.now() + 60_000
      for (;;) {
        await client.forget()
        await client.pull(byTag)
        if (Date.now() > deadline || (await upstream.fetches(next.manifest.digest)) > 0) break
        await delay(500)
      }
      await client.check(byTag, next)
      await assertFetchedOnce(upstream, [next])
    })
  })
}

/** Asserts that upstream has sent each manifest and each blob exactly once, and no other manifest. */
export async function assertFetchedOnce(
  upstream: UpstreamRegistry,
  all: readonly Pick<Image, 'manifest'>[] & readonly Partial<Image>[],
): Promise<void> {
  for (const { manifest, blobs = [] } of all) {
    for (const { digest } of [manifest, ...blobs]) {
      assert.equal(await upstream.fetches(digest), 1, `how often upstream sent ${digest}`)
    }
  }
  const sent = (await upstream.accesses()).filter(
    ({ method, path, status }) => method === 'GET' && path.includes('/manifests/') && status < 300,
  )
  assert.equal(sent.length, all.length, 'how many manifests upstream sent')
}
