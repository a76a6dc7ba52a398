import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contentViewOf } from '../../../src/observe/reports/content-view.ts'
import { digestOf, MemoryNode } from '../memory-node.ts'

test('a content view reads manifests completely, and no blobs', async () => {
  const bytes = Buffer.from('{"schemaVersion":2}')
  let closed = 0
  const view = contentViewOf({
    blobs: {
      facts: async (digest) => {
        const kind = digest === digestOf('manifest') ? 'manifest' : 'blob'
        return {
          digest,
          kind,
          size: bytes.length,
          mediaType: undefined,
          storedAt: 0,
          lastUsedAt: 0,
          origin: '',
        }
      },
    },
    peek: async () => ({
      size: bytes.length,
      // A read may return fewer bytes than requested.
      read: async (target, position) => bytes.copy(target, 0, position, Math.min(position + 4, bytes.length)),
      close: async () => {
        closed += 1
      },
    }),
    references: async () => [],
    pins: () => new MemoryNode().pins(),
    hosted: { catalog: { links: async function* () {} } },
    list: () => new MemoryNode().blobs(),
    tags: () => new MemoryNode().tags(),
  })
  assert.deepEqual(Buffer.from((await view.manifest(digestOf('manifest'))) ?? []), bytes)
  assert.equal(closed, 1)
  assert.equal(await view.manifest(digestOf('layer')), undefined)
})
