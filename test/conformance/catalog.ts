import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Catalog } from '../../src/ports/catalog.ts'
import { digestOf } from '../../testkit/memory/digests.ts'

/** Tests that a catalog keeps the contract of its port. `open` gives an empty one, and `close` is called after each test. */
export function catalogSuite(
  name: string,
  open: () => Promise<{ catalog: Catalog; close: () => Promise<void> }>,
): void {
  describe(`${name} keeps the contract of a catalog`, () => {
    let catalog: Catalog
    let close: () => Promise<void>
    const alpine = { registry: 'docker.io', name: 'library/alpine' }
    const digest = digestOf(Buffer.from('one'))
    const other = digestOf(Buffer.from('two'), 'sha512')

    beforeEach(async () => {
      ;({ catalog, close } = await open())
    })
    afterEach(() => close())

    it('is empty at first', async () => {
      assert.equal(await catalog.tag(alpine, 'latest'), undefined)
      assert.equal(await catalog.cachedList(alpine, 'tags'), undefined)
      assert.deepEqual(await catalog.repositories(), [])
    })

    it('remembers what a tag refers to, also when the tag has moved', async () => {
      const first = { digest, mediaType: 'application/vnd.oci.image.index.v1+json', checkedAt: 17 }
      const moved = { digest: other, mediaType: undefined, checkedAt: 18 }
      await catalog.rememberTag(alpine, '3.20', first)
      assert.deepEqual(await catalog.tag(alpine, '3.20'), first)
      await catalog.rememberTag(alpine, '3.20', moved)
      assert.deepEqual(await catalog.tag(alpine, '3.20'), moved)
    })

    it('remembers that an import has set a tag', async () => {
      const record = { digest, mediaType: undefined, checkedAt: 20, importedAt: 17 }
      await catalog.rememberTag(alpine, 'v1', record)
      assert.deepEqual(await catalog.tag(alpine, 'v1'), record)
    })

    it('does not confuse tags or repositories with similar names', async () => {
      const record = { digest, mediaType: undefined, checkedAt: 1 }
      await catalog.rememberTag({ registry: 'r', name: 'a/b' }, 'c', record)
      assert.equal(await catalog.tag({ registry: 'r', name: 'a' }, 'b/c'), undefined)
      assert.equal(await catalog.tag({ registry: 'r', name: 'a/b' }, 'C'), undefined)
      assert.equal(await catalog.tag({ registry: 'r:1', name: 'a/b' }, 'c'), undefined)
    })

    it('forgets a tag', async () => {
      await catalog.rememberTag(alpine, 'old', { digest, mediaType: undefined, checkedAt: 1 })
      await catalog.forgetTag(alpine, 'old')
      await catalog.forgetTag(alpine, 'old')
      assert.equal(await catalog.tag(alpine, 'old'), undefined)
    })

    it('remembers a list byte by byte', async () => {
      const body = Uint8Array.from([0, 255, 10, 13, 128])
      await catalog.rememberList(alpine, 'tags', { body, checkedAt: 1_795_000_000_123 })
      await catalog.rememberList(alpine, `referrers/${digest}`, { body: new Uint8Array(), checkedAt: 0 })
      const list = await catalog.cachedList(alpine, 'tags')
      assert.deepEqual(Uint8Array.from(list?.body ?? []), body)
      assert.equal(list?.checkedAt, 1_795_000_000_123)
      assert.equal((await catalog.cachedList(alpine, `referrers/${digest}`))?.body.length, 0)
      assert.equal(await catalog.cachedList(alpine, `referrers/${other}`), undefined)
    })

    it('remembers known names, and does not confuse similar ones', async () => {
      const app = { registry: 'r.test', name: 'team/app' }
      assert.deepEqual(await catalog.filterKnown(app, [digest, other]), [])
      await catalog.rememberKnownName(app, other)
      await catalog.rememberKnownName(app, other)
      assert.deepEqual(await catalog.filterKnown({ ...app }, [digest, other]), [other])
      assert.deepEqual(await catalog.filterKnown(app, []), [])
      for (const [registry, name] of [
        ['r.test', 'team'],
        ['r.test', 'team/app/x'],
        ['r.test/team', 'app2'],
        ['r.test:443', 'team/app'],
      ] as const) {
        assert.deepEqual(await catalog.filterKnown({ registry, name }, [other]), [])
      }
      await catalog.rememberKnownName(app, digest)
      assert.deepEqual(await catalog.filterKnown(app, [other, digest]), [other, digest])
    })

    it('remembers which repositories are read with credentials, which are no known names', async () => {
      const app = { registry: 'r.test:443', name: 'team/app' }
      await catalog.rememberCredentialed(app)
      await catalog.rememberCredentialed(alpine)
      await catalog.rememberCredentialed(app)
      assert.deepEqual(await catalog.credentialed(), [alpine, app])
      assert.deepEqual(await catalog.repositories(), [])
      await catalog.forgetCredentialed(alpine)
      await catalog.forgetCredentialed(alpine)
      assert.deepEqual(await catalog.credentialed(), [app])
    })

    it('lists every repository once, in ASCII order', async () => {
      await catalog.rememberTag(alpine, 'latest', { digest, mediaType: undefined, checkedAt: 1 })
      for (const name of ['b', 'a-b', 'a/b', 'a', 'a_b', 'a.b']) {
        await catalog.rememberKnownName({ registry: 'localhost:5000', name }, digest)
        await catalog.rememberKnownName({ registry: 'localhost:5000', name }, other)
      }
      const all = await catalog.repositories()
      assert.deepEqual(
        all.filter(({ registry }) => registry === 'localhost:5000').map(({ name }) => name),
        ['a', 'a-b', 'a.b', 'a/b', 'a_b', 'b'],
      )
      const keys = all.map(({ registry, name }) => `${registry}/${name}`)
      assert.deepEqual(keys, [...new Set(keys)].sort())
      assert.ok(keys.includes('docker.io/library/alpine'))
    })
  })
}
