import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { buildImage, buildIndex, type Image, push } from '../../../testkit/registries/image.ts'
import type { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import type { Kind } from '../kinds/client.ts'
import { startLab } from './pull-lab.ts'

/** What every kind of client must be able to do through the agent. Each step builds on the ones before it. */
export function pullsThroughTheAgent(kind: Kind): void {
  test(`${kind.name} pulls through the agent`, async (t) => {
    const lab = await startLab(t, [kind])
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

    await t.test('the next pull does not leave the machine', async () => {
      await client.forget()
      await upstream.forget()
      await client.pull(byTag)
      await client.check(byTag, image)
      assert.deepEqual(await upstream.accesses(), [])
    })

    await t.test('of an index only this platform is fetched', async () => {
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

    await t.test('what upstream does not have is refused, not waited for', async () => {
      await assert.rejects(client.pull({ repository: 'library/app', reference: 'nowhere' }))
    })

    await upstream.stop()

    await t.test('by digest it pulls while upstream is away', async () => {
      await client.forget()
      await client.pull(byDigest)
      await client.check(byDigest, image)
    })

    await t.test('a restarted agent still serves a tag whose upstream cannot be asked', async () => {
      assert.equal(await lab.restartAgent('0s'), 0)
      await client.forget()
      await client.pull(byTag)
      await client.check(byTag, image)
    })

    await upstream.start()

    await t.test('a tag that has moved is followed once upstream is back', async () => {
      const next = buildImage('the next image')
      await push(upstream.url, 'library/app', 'v1', next)
      await upstream.forget()
      // An agent that was refused several times in a row leaves upstream alone for a while.
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

/** Upstream has sent each manifest and each blob of these exactly once, and no other manifest. */
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
