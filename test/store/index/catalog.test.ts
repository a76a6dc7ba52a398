import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Store } from '../../../src/store/store.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { MemoryCatalog } from '../../../testkit/memory/memory-catalog.ts'
import { catalogSuite } from '../../conformance/catalog.ts'
import { all, openStore } from '../folder.ts'

catalogSuite('the catalog in memory', async () => ({ catalog: new MemoryCatalog(), close: async () => {} }))
catalogSuite('the catalog in LevelDB', async () => {
  const path = await mkdtemp(join(tmpdir(), 'leat-catalog-'))
  const store = await openStore({ path })
  return {
    catalog: store.catalog,
    close: async () => {
      await store.close()
      await rm(path, { recursive: true })
    },
  }
})

describe('the catalog over a restart', () => {
  let path: string
  let store: Store
  const alpine = { registry: 'docker.io', name: 'library/alpine' }
  const mine = { registry: 'localhost:5000', name: 'mine' }
  const digest = digestOf(Buffer.from('x'))

  before(async () => {
    path = await mkdtemp(join(tmpdir(), 'leat-catalog-'))
    const first = await openStore({ path })
    const record = { digest, mediaType: 'application/vnd.oci.image.index.v1+json', checkedAt: 5 }
    await first.catalog.rememberTag(alpine, 'latest', record)
    await first.catalog.rememberTag(alpine, '3.20', record)
    await first.catalog.rememberTag(mine, 'v1', { digest, mediaType: undefined, checkedAt: 6 })
    await first.catalog.rememberList(mine, 'tags', { body: Buffer.from('[]'), checkedAt: 7 })
    await first.catalog.rememberKnownName(mine, digest)
    await first.catalog.rememberKnownName(alpine, digest)
    await first.close()
    store = await openStore({ path })
  })
  after(async () => {
    await store.close()
    await rm(path, { recursive: true })
  })

  it('still knows tags, cached lists and known names', async () => {
    assert.equal((await store.catalog.tag(mine, 'v1'))?.digest, digest)
    assert.equal((await store.catalog.cachedList(mine, 'tags'))?.checkedAt, 7)
    assert.deepEqual(await store.repositoriesOf(digest), [alpine, mine])
    assert.deepEqual(await store.repositoriesOf(digestOf(Buffer.from('y'))), [])
  })

  it('lists the tags of one repository, or all', async () => {
    const known = await all(store.tags())
    assert.deepEqual(
      known.map(({ repository, tag }) => `${repository.name}:${tag}`),
      ['library/alpine:3.20', 'library/alpine:latest', 'mine:v1'],
    )
    const ofMine = await all(store.tags(mine))
    assert.deepEqual(ofMine, [{ repository: mine, tag: 'v1', digest, mediaType: undefined, checkedAt: 6 }])
  })
})
