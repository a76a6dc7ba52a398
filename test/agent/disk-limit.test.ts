import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { subscribe } from '../../src/observe/events.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { sha256 } from '../../testkit/registries/faulty/content.ts'
import { folder } from '../store/folder.ts'
import { MIB, startAgent, startUpstream } from './running-agent.ts'

const LIMIT = 4 * MIB

async function storedBytes(data: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(join(data, 'blobs'), { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    // The file may have been evicted since the folder was read.
    const stats = await stat(join(entry.parentPath, entry.name)).catch(() => undefined)
    bytes += stats?.size ?? 0
  }
  return bytes
}

describe('an agent with a limit', () => {
  it('stores no more, evicts what was not used for longest, and serves every blob whole', async (t) => {
    const upstream = await startUpstream(t)
    const data = await folder(t)
    const evicted: Digest[] = []
    const ended = new Set<Digest>()
    addCleanup(
      t,
      subscribe('store.evicted', ({ digest }) => evicted.push(digest)),
    )
    addCleanup(
      t,
      subscribe('flight.ended', ({ digest }) => ended.add(digest)),
    )
    const running = await startAgent(t, { upstream, data, maxBytes: { bytes: LIMIT } })
    const digests = Array.from({ length: 12 }, (_, n) => upstream.addBlob(randomBytes(MIB - 50 - n)))
    for (const digest of digests) {
      assert.equal(sha256((await running.getBlob(digest)).body), digest)
      while (!ended.has(digest)) await new Promise((resolve) => setImmediate(resolve))
      assert.ok((await storedBytes(data)) <= LIMIT)
    }
    const [first, last] = [digests[0], digests.at(-1)]
    assert.ok(first !== undefined && last !== undefined && !evicted.includes(last) && evicted.length >= 8)
    assert.deepEqual(evicted, digests.slice(0, evicted.length))
    assert.equal((await running.getBlob(last)).headers['cache-status'], 'leat; hit')
    assert.equal(sha256((await running.getBlob(first)).body), first)
    const tooLarge = upstream.addBlob(randomBytes(LIMIT + 1))
    assert.equal(sha256((await running.getBlob(tooLarge)).body), tooLarge)
    assert.ok((await storedBytes(data)) <= LIMIT)
    const { admin } = running.agent.addresses
    const status = await fetch(`http://127.0.0.1:${admin?.port}/api/v1/status`)
    const { store } = (await status.json()) as { store: { limitBytes: number; evictedBytes: number } }
    assert.equal(store.limitBytes, LIMIT)
    assert.ok(store.evictedBytes > 8 * (MIB - 100))
  })
})
