import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLanes } from '../../src/lanes/lane-pool.ts'
import { MemoryStore } from '../../testkit/memory/memory-store.ts'
import { blobStoreSuite } from '../conformance/blob-store.ts'
import { openStore } from './folder.ts'

blobStoreSuite('the store in memory', async (options) => ({
  store: new MemoryStore(options === undefined ? {} : { limitBytes: options.limitBytes }),
  close: async () => {},
}))
blobStoreSuite('the store on disk', async (options) => {
  const path = await mkdtemp(join(tmpdir(), 'leat-store-'))
  const store = await openStore({
    path,
    ...(options && {
      lanes: openLanes({ memoryBytes: options.memoryBytes }),
      maxBytes: { bytes: options.limitBytes },
    }),
  })
  return {
    store: store.blobs,
    close: async () => {
      await store.close()
      await rm(path, { recursive: true })
    },
  }
})
