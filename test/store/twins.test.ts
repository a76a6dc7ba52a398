import { blobStoreSuite } from '../conformance/blob-store.ts'
import { catalogSuite } from '../conformance/catalog.ts'
import { MemoryCatalog } from '../support/memory-catalog.ts'
import { MemoryStore } from '../support/memory-store.ts'

blobStoreSuite('the store in memory', async () => ({ store: new MemoryStore(), close: async () => {} }))
catalogSuite('the catalog in memory', async () => ({ catalog: new MemoryCatalog(), close: async () => {} }))
