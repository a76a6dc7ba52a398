import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Digest, parseDigest } from '../../../src/oci/digest.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { feed, keep, stored, wanted } from '../../conformance/blob-steps.ts'
import { folder, opened, published, smallDisk } from '../folder.ts'
import { blob, LARGE_BYTES } from '../writing-child.ts'

const facts = { mediaType: undefined, origin: 'upstream x', references: [], subject: undefined }
const MIB = 1024 * 1024

it('storing a content publishes an event', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const committed = published(t, 'store.committed')
  const digest = await keep(store.blobs, randomBytes(100))
  assert.deepEqual(committed, [{ digest, size: 100 }])
})

it('a small content that does not fit on a full disk is read from memory', async (t) => {
  const path = await smallDisk(t, 4 * MIB)
  if (path === undefined) return
  const store = await opened(t, { path })
  await writeFile(join(path, 'lost+found'), randomBytes(8 * MIB)).catch(() => {})
  const bytes = randomBytes(50_000)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  await incoming.reserve(bytes.length)
  await feed(incoming, bytes)
  assert.equal(await incoming.commit(facts), false)
  assert.match(String(incoming.passThroughReason?.message), /no space left on device/)
  const target = Buffer.alloc(bytes.length)
  assert.equal(await incoming.read(target, 0), bytes.length)
  assert.deepEqual(target, bytes)
  await incoming.close()
  assert.deepEqual(await readdir(new Layout(path).partial), [])
  assert.equal(await store.blobs.open(digestOf(bytes)), undefined)
})

it('after SIGKILL at any moment, acknowledged contents are stored and the unfinished one is resumed', async (t) => {
  const path = await folder(t)
  const large = blob('large', LARGE_BYTES)
  const program = fileURLToPath(new URL('../writing-child.js', import.meta.url))
  for (let round = 0; round < 3; round++) {
    const child = fork(program, [path, digestOf(large)], { cwd: tmpdir() })
    const acknowledged: Digest[] = []
    let written = 0
    const exited = once(child, 'exit')
    try {
      await new Promise<void>((resolve, reject) => {
        child.on('exit', (code) => reject(new Error(`the child has ended by itself (${code})`)))
        child.on('message', (message: { stored?: string; written?: number }) => {
          const digest = message.stored === undefined ? undefined : parseDigest(message.stored)
          if (digest !== undefined) acknowledged.push(digest)
          written = Math.max(written, message.written ?? 0)
          if (acknowledged.length >= 5 + round * 4 && written > 100_000) resolve()
        })
      })
    } finally {
      child.kill('SIGKILL')
      await exited
    }
    const store = await opened(t, { path })
    await store.recovered
    for (const digest of acknowledged) {
      const bytes = await stored(store.blobs, digest)
      assert.ok(bytes !== undefined && digestOf(bytes) === digest, 'acknowledged')
    }
    const incoming = await store.blobs.begin(wanted(digestOf(large)))
    assert.ok(incoming.position >= written, 'all bytes reported as written are in the file after SIGKILL')
    assert.equal(await incoming.digest(), digestOf(large.subarray(0, incoming.position)))
    await incoming.restart()
    await incoming.close()
    await store.close()
  }
})
