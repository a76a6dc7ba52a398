import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { MemoryCatalog } from '../../testkit/memory/memory-catalog.ts'
import { alpine, manifestOf, setUpResolver, signal } from './support/resolver.ts'

class FullCatalog extends MemoryCatalog {
  isFull = true

  override rememberTag(...given: Parameters<MemoryCatalog['rememberTag']>): Promise<void> {
    return this.#write(() => super.rememberTag(...given))
  }

  override forgetTag(...given: Parameters<MemoryCatalog['forgetTag']>): Promise<void> {
    return this.#write(() => super.forgetTag(...given))
  }

  override rememberList(...given: Parameters<MemoryCatalog['rememberList']>): Promise<void> {
    return this.#write(() => super.rememberList(...given))
  }

  override rememberKnownName(...given: Parameters<MemoryCatalog['rememberKnownName']>): Promise<void> {
    return this.#write(() => super.rememberKnownName(...given))
  }

  async #write(write: () => Promise<void>): Promise<void> {
    if (this.isFull) throw new Error('No space left on device')
    await write()
  }
}

test('a repository is private when the registry says so', async () => {
  const { registry, resolver } = setUpResolver()
  assert.equal(await resolver.isPrivate(alpine), false)
  registry.privateRegistries.add(alpine.registry)
  assert.equal(await resolver.isPrivate(alpine), true)
})

test('a catalog that cannot be written to fails no answer, and upstream is asked again each time', async () => {
  const catalog = new FullCatalog()
  const { registry, resolver } = setUpResolver({ catalog })
  const digest = registry.add(manifestOf([Buffer.from('any')]), OCI_MANIFEST)
  registry.setTag(alpine, 'latest', digest)
  for (let times = 1; times <= 2; times++) {
    assert.equal((await resolver.manifestByTag(alpine, 'latest', { signal })).digest, digest)
    assert.deepEqual((await resolver.tags(alpine, { signal })).tags, ['latest'])
    assert.equal(Buffer.from((await resolver.referrers(alpine, digest, { signal })).index).toString(), '{}')
    const { tag, tags, referrers } = registry.asked
    assert.deepEqual([tag, tags, referrers], [times, times, times])
  }
  catalog.isFull = false
  await resolver.manifestByTag(alpine, 'latest', { signal })
  catalog.isFull = true
  registry.fresh.tagTtlMs = 0
  registry.setTag(alpine, 'latest', undefined)
  await assert.rejects(resolver.manifestByTag(alpine, 'latest', { signal }), { code: 'absent' })
})
