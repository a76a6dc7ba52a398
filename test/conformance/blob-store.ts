import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import type { Digest } from '../../src/oci/digest.ts'
import type { BlobStore, Incoming } from '../../src/ports/blob-store.ts'
import type { Content } from '../../src/ports/content.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { Want } from '../../src/ports/source.ts'
import { checkpointsOf, digestOf } from '../../testkit/memory/digests.ts'

const repository = { registry: 'docker.io', name: 'library/alpine' }
const facts = {
  mediaType: 'application/octet-stream',
  origin: 'upstream x',
  references: [],
  subject: undefined,
}

const MEMORY = 1024 * 1024
const LIMIT = 200_000
const TOO_MUCH = 1_000_000_000

export function wanted(digest: Digest, kind: Want['kind'] = 'blob'): Want {
  return { digest, kind, repository }
}

/** Feeds bytes as a socket does: into what `buffer` gives, at most `most` at a time, waiting when told to. */
export async function feed(incoming: Incoming, bytes: Uint8Array, most = 65536): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const room = incoming.buffer()
    assert.ok(room.length > 0, 'a buffer is never empty')
    const part = bytes.subarray(at, at + Math.min(room.length, most))
    room.set(part)
    at += part.length
    if (!incoming.filled(part.length)) {
      assert.ok(incoming.buffer().length > 0, 'a buffer is never empty, not even when full')
      await incoming.drained()
    }
  }
}

async function readAll(content: Content): Promise<Buffer> {
  const { signal } = new AbortController()
  const bytes = Buffer.alloc(content.size)
  for (let at = 0; at < bytes.length; ) {
    assert.ok((await content.readable(at, { signal })) > at)
    const count = await content.read(bytes.subarray(at), at)
    assert.ok(count > 0)
    at += count
  }
  return bytes
}

export async function stored(store: BlobStore, digest: Digest): Promise<Buffer | undefined> {
  const content = await store.open(digest)
  if (content === undefined) return undefined
  try {
    return await readAll(content)
  } finally {
    await content.close()
  }
}

export async function keep(
  store: BlobStore,
  bytes: Uint8Array,
  kind: Want['kind'] = 'blob',
): Promise<Digest> {
  const digest = digestOf(bytes)
  const incoming = await store.begin(wanted(digest, kind))
  try {
    await feed(incoming, bytes)
    assert.equal(await incoming.digest(), digest)
    await incoming.commit(facts)
  } finally {
    await incoming.close()
  }
  return digest
}

/** Resolves once `written` has reached `position`. */
export function writtenTo(incoming: Incoming, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (failure: Error | undefined): void => {
      if (failure !== undefined) reject(failure)
      else if (incoming.written >= position) resolve()
    }
    incoming.onProgress(look)
    look(undefined)
  })
}

/** Reads all that can be read, as it comes, and forgets it; gives what it was. */
export async function passOn(incoming: Incoming, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; ) {
    await writtenTo(incoming, at + 1)
    const count = await incoming.read(bytes.subarray(at, Math.min(size, at + 50_000)), at)
    assert.ok(count > 0)
    at += count
    incoming.discardBefore(at)
  }
  return bytes
}

/** Feeds until it is told to wait; gives how much that was. */
function fillUp(incoming: Incoming, bytes: Uint8Array): number {
  const { position } = incoming
  for (;;) {
    const room = incoming.buffer()
    const part = bytes.subarray(incoming.position, incoming.position + room.length)
    assert.ok(part.length > 0, 'the window has no end')
    room.set(part)
    if (!incoming.filled(part.length)) return incoming.position - position
  }
}

/**
 * What every BlobStore does. `open` gives an empty one, with so little memory and such a limit as it is asked for;
 * `close` is called when it is done with.
 */
export function blobStoreSuite(
  name: string,
  open: (options?: { memoryBytes: number; limitBytes: number }) => Promise<{
    store: BlobStore
    close: () => Promise<void>
  }>,
): void {
  describeUnkept(name, () => open({ memoryBytes: MEMORY, limitBytes: LIMIT }))
  describe(`${name} keeps the contract of a blob store`, () => {
    let store: BlobStore
    let close: () => Promise<void>

    before(async () => {
      ;({ store, close } = await open())
    })
    after(() => close())

    it('does not know what was never stored', async () => {
      const digest = digestOf(Buffer.from('never'))
      assert.equal(await store.open(digest), undefined)
      assert.equal(await store.facts(digest), undefined)
    })

    for (const size of [0, 1, 65535, 65536, 65537, 3_000_001]) {
      it(`gives back ${size} bytes as they were taken`, async () => {
        const bytes = randomBytes(size)
        const earliest = Date.now()
        const digest = await keep(store, bytes)
        assert.deepEqual(await stored(store, digest), bytes)
        const known = await store.facts(digest)
        assert.equal(known?.size, size)
        assert.equal(known?.kind, 'blob')
        assert.equal(known?.mediaType, 'application/octet-stream')
        assert.equal(known?.origin, 'upstream x')
        assert.ok(known.storedAt >= earliest && known.lastUsedAt >= known.storedAt)
      })
    }

    it('keeps a blob under a sha512 digest', async () => {
      const bytes = randomBytes(200_000)
      const digest = digestOf(bytes, 'sha512')
      const incoming = await store.begin(wanted(digest))
      await feed(incoming, bytes)
      assert.equal(await incoming.digest(), digest)
      await incoming.commit(facts)
      await incoming.close()
      assert.deepEqual(await stored(store, digest), bytes)
    })

    it('remembers that something is a manifest', async () => {
      const digest = await keep(store, Buffer.from('{"schemaVersion":2}'), 'manifest')
      assert.equal((await store.facts(digest))?.kind, 'manifest')
    })

    it('reads from any position', async () => {
      const bytes = randomBytes(100_000)
      const content = await store.open(await keep(store, bytes))
      assert.ok(content)
      const target = Buffer.alloc(10)
      assert.equal(await content.read(target, 50_000), 10)
      assert.deepEqual(target, bytes.subarray(50_000, 50_010))
      assert.equal(await content.read(target, 99_995), 5)
      await content.close()
      await content.close()
    })

    it('answers without a promise that stored bytes are readable', async () => {
      const content = await store.open(await keep(store, randomBytes(5000)))
      assert.equal(content?.readable(0, { signal: new AbortController().signal }), 5000)
      await content?.close()
    })

    it('tells which manifests need a digest, whether it is here or not', async () => {
      const [layer, config, neither] = ['layer', 'config', 'neither'].map((text) =>
        digestOf(Buffer.from(text)),
      )
      assert.ok(layer && config && neither)
      const manifests: Digest[] = []
      for (const references of [[layer, config], [layer]]) {
        const bytes = randomBytes(100)
        manifests.push(digestOf(bytes))
        const incoming = await store.begin(wanted(digestOf(bytes), 'manifest'))
        try {
          await feed(incoming, bytes)
          await incoming.commit({ ...facts, references })
        } finally {
          await incoming.close()
        }
      }
      assert.deepEqual([...(await store.referencingManifests(layer, 10))].sort(), [...manifests].sort())
      assert.equal((await store.referencingManifests(layer, 1)).length, 1)
      assert.deepEqual(await store.referencingManifests(layer, 0), [])
      assert.deepEqual(await store.referencingManifests(config, 10), manifests.slice(0, 1))
      assert.deepEqual(await store.referencingManifests(neither, 10), [])
    })

    it('marks a blob as used when it is opened, not when it is looked at', async () => {
      const digest = await keep(store, randomBytes(100))
      const before = (await store.facts(digest))?.lastUsedAt ?? Number.NaN
      while (Date.now() <= before) await new Promise((resolve) => setImmediate(resolve))
      assert.equal((await store.facts(digest))?.lastUsedAt, before)
      await (await store.open(digest))?.close()
      assert.ok(((await store.facts(digest))?.lastUsedAt ?? 0) > before)
    })

    it('marks a blob as used when it is told to, and nothing that is not here', async () => {
      const digest = await keep(store, randomBytes(100))
      const before = (await store.facts(digest))?.lastUsedAt ?? Number.NaN
      while (Date.now() <= before) await new Promise((resolve) => setImmediate(resolve))
      store.touch(digest)
      assert.ok(((await store.facts(digest))?.lastUsedAt ?? 0) > before)
      const absent = digestOf(randomBytes(10))
      store.touch(absent)
      assert.equal(await store.facts(absent), undefined)
    })

    it('lets what was written be read while more is coming', async () => {
      const bytes = randomBytes(1_500_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      try {
        for (const end of [10, 70_000, 400_000, 1_500_000]) {
          const start = incoming.position
          await feed(incoming, bytes.subarray(start, end))
          assert.equal(incoming.position, end)
          await writtenTo(incoming, end)
          assert.equal(incoming.written, end)
          const target = Buffer.alloc(end)
          let at = 0
          while (at < end) at += await incoming.read(target.subarray(at), at)
          assert.deepEqual(target, bytes.subarray(0, end))
          assert.equal(await incoming.read(Buffer.alloc(10), end), 0)
        }
      } finally {
        await incoming.close()
      }
    })

    it('does not find a blob before it is committed', async () => {
      const bytes = randomBytes(300_000)
      const digest = digestOf(bytes)
      const incoming = await store.begin(wanted(digest))
      await feed(incoming, bytes)
      await incoming.digest()
      assert.equal(await store.open(digest), undefined)
      assert.equal(await store.facts(digest), undefined)
      await incoming.commit(facts)
      assert.deepEqual(await stored(store, digest), bytes)
      await incoming.close()
    })

    for (const size of [20_000, 2_000_000]) {
      it(`reads on from an intake of ${size} bytes after its commit`, async () => {
        const bytes = randomBytes(size)
        const incoming = await store.begin(wanted(digestOf(bytes)))
        await feed(incoming, bytes)
        await incoming.commit(facts)
        const target = Buffer.alloc(1000)
        assert.equal(await incoming.read(target, size - 1000), 1000)
        assert.deepEqual(target, bytes.subarray(size - 1000))
        await incoming.close()
        await incoming.close()
      })

      it(`refuses to commit ${size} bytes that are not the ones wanted`, async () => {
        const bytes = randomBytes(size)
        const digest = digestOf(bytes)
        const wrong = Buffer.from(bytes)
        wrong[size - 1] = (wrong[size - 1] ?? 0) ^ 1
        const incoming = await store.begin(wanted(digest))
        await feed(incoming, wrong)
        assert.equal(await incoming.digest(), digestOf(wrong))
        await assert.rejects(
          incoming.commit(facts),
          (error) => error instanceof Failure && error.code === 'corrupt',
        )
        assert.equal(await store.open(digest), undefined)
        await incoming.restart()
        assert.equal(incoming.position, 0)
        assert.equal(incoming.written, 0)
        await feed(incoming, bytes)
        assert.equal(await incoming.digest(), digest)
        await incoming.commit(facts)
        await incoming.close()
        assert.deepEqual(await stored(store, digest), bytes)
      })
    }

    it('gives the digest of what was taken so far as often as asked', async () => {
      const bytes = randomBytes(900_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await feed(incoming, bytes.subarray(0, 500_000))
      assert.equal(await incoming.digest(), digestOf(bytes.subarray(0, 500_000)))
      await feed(incoming, bytes.subarray(500_000))
      assert.equal(await incoming.digest(), digestOf(bytes))
      assert.equal(await incoming.digest(), digestOf(bytes))
      await incoming.close()
    })

    it('goes on from what an earlier attempt has left', async () => {
      const bytes = randomBytes(2_500_000)
      const digest = digestOf(bytes)
      const first = await store.begin(wanted(digest))
      await feed(first, bytes.subarray(0, 1_300_000))
      await first.close()
      const second = await store.begin(wanted(digest))
      assert.equal(second.position, 1_300_000)
      await feed(second, bytes.subarray(1_300_000))
      assert.equal(await second.digest(), digest)
      await second.commit(facts)
      await second.close()
      assert.deepEqual(await stored(store, digest), bytes)
    })

    it('marks every 64 KiB of what came, however it came', async () => {
      const bytes = randomBytes(1_000_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await feed(incoming, bytes.subarray(0, 70_000), 1000)
      await writtenTo(incoming, 70_000)
      assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes.subarray(0, 70_000)))
      await feed(incoming, bytes.subarray(70_000), 100_003)
      await writtenTo(incoming, bytes.length)
      assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes))
      await incoming.restart()
      assert.equal(incoming.checkpoints.count, 0)
      await feed(incoming, bytes)
      await writtenTo(incoming, bytes.length)
      assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes))
      await incoming.close()
    })

    it('marks what an earlier attempt has left', async () => {
      const bytes = randomBytes(10_000_000)
      const digest = digestOf(bytes, 'sha512')
      const first = await store.begin(wanted(digest))
      await feed(first, bytes.subarray(0, 9_000_001))
      await first.close()
      const second = await store.begin(wanted(digest))
      await feed(second, bytes.subarray(9_000_001))
      assert.equal(await second.digest(), digest)
      assert.deepEqual(second.checkpoints.since(0), checkpointsOf(bytes, 'sha512'))
      await second.close()
    })

    it('keeps the marks of what is stored and more than 64 KiB', async () => {
      const small = await keep(store, randomBytes(65536))
      assert.equal(await store.checkpoints(small), undefined)
      const bytes = randomBytes(300_000)
      const digest = await keep(store, bytes)
      assert.deepEqual(Uint8Array.from((await store.checkpoints(digest)) ?? []), checkpointsOf(bytes))
      assert.equal(await store.checkpoints(digestOf(randomBytes(10))), undefined)
    })

    for (const [kept, cut] of [
      [900_000, 196_608],
      [900_000, 851_968],
      [2_000_000, 524_288],
      [70_000, 65536],
      [20_000, 0],
      [900_000, 0],
    ] as const) {
      it(`takes all but ${cut} of ${kept} bytes back, and goes on from there`, async () => {
        const bytes = randomBytes(1_300_000)
        const digest = digestOf(bytes)
        const incoming = await store.begin(wanted(digest))
        await incoming.reserve(bytes.length)
        const wrong = Buffer.alloc(kept)
        bytes.copy(wrong, 0, 0, cut)
        await feed(incoming, wrong)
        await incoming.truncate(cut)
        assert.equal(incoming.position, cut)
        assert.equal(incoming.written, cut)
        assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes.subarray(0, cut)))
        const target = Buffer.alloc(cut)
        for (let at = 0; at < cut; ) at += await incoming.read(target.subarray(at), at)
        assert.deepEqual(target, bytes.subarray(0, cut))
        assert.equal(await incoming.read(Buffer.alloc(10), cut), 0)
        await feed(incoming, bytes.subarray(cut))
        assert.equal(await incoming.digest(), digest)
        assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes))
        assert.equal(await incoming.commit(facts), true)
        await incoming.close()
        assert.deepEqual(await stored(store, digest), bytes)
      })
    }

    it('takes back what came after what an earlier attempt has left, and some of that', async () => {
      const bytes = randomBytes(9_500_000)
      const digest = digestOf(bytes)
      const first = await store.begin(wanted(digest))
      await feed(first, bytes.subarray(0, 9_000_000))
      await first.close()
      const second = await store.begin(wanted(digest))
      await feed(second, randomBytes(100_000))
      await second.truncate(8_978_432)
      assert.equal(second.position, 8_978_432)
      await second.truncate(8_978_432)
      await feed(second, randomBytes(100))
      await second.truncate(131_072)
      await feed(second, bytes.subarray(131_072))
      assert.equal(await second.digest(), digest)
      await second.close()
    })

    it('cuts only at a mark, and only what is there', async () => {
      const incoming = await store.begin(wanted(digestOf(randomBytes(10))))
      await feed(incoming, randomBytes(100_000))
      for (const position of [-65536, 1000, 131_072]) {
        await assert.rejects(incoming.truncate(position), RangeError)
      }
      assert.equal(incoming.position, 100_000)
      await incoming.close()
    })

    it('gives right bytes to who reads what stays while the rest is taken back', async () => {
      const bytes = randomBytes(9_000_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await feed(incoming, bytes)
      await writtenTo(incoming, bytes.length)
      const cut = 130 * 65536
      let reading = true
      const readers = Array.from({ length: 4 }, async (_, n) => {
        const target = Buffer.alloc(50_000)
        for (let at = n * 2_000_000; reading; at = (at + 77_777) % (cut - 50_000)) {
          const count = await incoming.read(target, at)
          assert.ok(count > 0, `nothing to read at ${at}`)
          assert.deepEqual(target.subarray(0, count), bytes.subarray(at, at + count))
          await new Promise((resolve) => setImmediate(resolve))
        }
      })
      await incoming.truncate(cut)
      await feed(incoming, bytes.subarray(cut))
      assert.equal(await incoming.digest(), digestOf(bytes))
      reading = false
      await Promise.all(readers)
      await incoming.close()
    })

    it('leaves nothing behind that was put aside as wrong', async () => {
      const digest = digestOf(randomBytes(10))
      const first = await store.begin(wanted(digest))
      await feed(first, randomBytes(500_000))
      await first.restart()
      await first.close()
      const second = await store.begin(wanted(digest))
      assert.equal(second.position, 0)
      await second.close()
    })

    it('takes one intake at a time for a digest', async () => {
      const digest = digestOf(randomBytes(10))
      const first = await store.begin(wanted(digest))
      await assert.rejects(
        store.begin(wanted(digest)),
        (error) => error instanceof Failure && error.code === 'disk',
      )
      await first.close()
      await (await store.begin(wanted(digest))).close()
    })

    it('takes a blob again that is stored already', async () => {
      const bytes = randomBytes(150_000)
      const digest = await keep(store, bytes)
      const reader = await store.open(digest)
      assert.ok(reader)
      await keep(store, bytes)
      assert.deepEqual(await readAll(reader), bytes)
      await reader.close()
      assert.deepEqual(await stored(store, digest), bytes)
    })

    it('keeps the same memory to be filled until it is filled', async () => {
      const incoming = await store.begin(wanted(digestOf(randomBytes(10))))
      await feed(incoming, randomBytes(100_000))
      const first = incoming.buffer()
      await incoming.digest()
      const second = incoming.buffer()
      assert.equal(first.buffer, second.buffer)
      assert.equal(first.byteOffset, second.byteOffset)
      assert.equal(first.length, second.length)
      await incoming.close()
    })

    it('hashes and keeps many intakes at once, however their bytes are cut and interleaved', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.array(fc.tuple(fc.integer({ min: 16, max: 300_000 }), fc.boolean()), {
              minLength: 1,
              maxLength: 6,
            }),
            { minLength: 1, maxLength: 5 },
          ),
          async (plans) => {
            const flows = await Promise.all(
              plans.map(async (cuts) => {
                const bytes = randomBytes(cuts.reduce((sum, [length]) => sum + length, 0))
                const incoming = await store.begin(wanted(digestOf(bytes)))
                return { bytes, cuts: cuts.slice(), incoming }
              }),
            )
            try {
              for (let left = true; left; ) {
                left = false
                for (const { bytes, cuts, incoming } of flows) {
                  const cut = cuts.shift()
                  if (cut === undefined) continue
                  left = true
                  const start = incoming.position
                  await feed(incoming, bytes.subarray(start, start + cut[0]), 100_000)
                  if (cut[1]) await writtenTo(incoming, incoming.position)
                }
              }
              for (const { bytes, incoming } of flows) {
                assert.equal(await incoming.digest(), digestOf(bytes))
                await incoming.commit(facts)
                assert.deepEqual(await stored(store, digestOf(bytes)), bytes)
              }
            } finally {
              await Promise.all(flows.map(({ incoming }) => incoming.close()))
            }
          },
        ),
        { numRuns: 15 },
      )
    })
  })
}

function describeUnkept(
  name: string,
  open: () => Promise<{ store: BlobStore; close: () => Promise<void> }>,
): void {
  describe(`${name} passes on what it cannot keep`, () => {
    let store: BlobStore
    let close: () => Promise<void>

    before(async () => {
      ;({ store, close } = await open())
    })
    after(() => close())

    it('keeps what has room', async () => {
      const bytes = randomBytes(LIMIT / 2)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      assert.equal(await incoming.reserve(bytes.length), true)
      assert.equal(incoming.isStorable, true)
      assert.equal(incoming.passThroughReason, undefined)
      await feed(incoming, bytes)
      incoming.discardBefore(bytes.length)
      assert.equal(incoming.readableFrom, 0, 'what is kept is not forgotten')
      assert.equal(await incoming.commit(facts), true)
      await incoming.close()
      assert.deepEqual(await stored(store, digestOf(bytes)), bytes)
    })

    for (const size of [1, 65536, LIMIT + 1, 3_000_001]) {
      it(`${size} bytes without room go through it, hashed, and leave nothing behind`, async () => {
        const bytes = randomBytes(size)
        const digest = digestOf(bytes)
        const incoming = await store.begin(wanted(digest))
        const reading = passOn(incoming, size)
        assert.equal(await incoming.reserve(TOO_MUCH), false)
        assert.equal(incoming.isStorable, false)
        assert.match(String(incoming.passThroughReason?.message), /room/)
        await incoming.reserve(size)
        await feed(incoming, bytes)
        assert.deepEqual(await reading, bytes)
        assert.equal(await incoming.digest(), digest)
        assert.equal(await incoming.commit(facts), false)
        assert.equal(await store.open(digest), undefined)
        await incoming.close()
        const again = await store.begin(wanted(digest))
        assert.equal(again.position, 0)
        await again.close()
      })
    }

    it('takes bytes before it is known whether they have room', async () => {
      for (const size of [100, 70_000, 3_000_000]) {
        const bytes = randomBytes(size)
        const incoming = await store.begin(wanted(digestOf(bytes)))
        const reserving = incoming.reserve(TOO_MUCH)
        const reading = passOn(incoming, size)
        await feed(incoming, bytes)
        assert.equal(await reserving, false)
        assert.deepEqual(await reading, bytes)
        assert.equal(await incoming.digest(), digestOf(bytes))
        assert.equal(await incoming.commit(facts), false)
        await incoming.close()
      }
    })

    it('turns unkept in the middle, and has all of it for who is behind', async () => {
      const bytes = randomBytes(2_000_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      assert.equal(await incoming.reserve(LIMIT), true)
      await feed(incoming, bytes.subarray(0, LIMIT))
      assert.equal(await incoming.reserve(TOO_MUCH), false)
      const reading = passOn(incoming, bytes.length)
      await feed(incoming, bytes.subarray(LIMIT))
      assert.deepEqual(await reading, bytes)
      assert.equal(await incoming.digest(), digestOf(bytes))
      assert.equal(await incoming.commit(facts), false)
      await incoming.close()
    })

    it('waits for its readers when its window is full, and goes on when they have', async () => {
      const bytes = randomBytes(20_000_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await incoming.reserve(bytes.length)
      const first = fillUp(incoming, bytes)
      assert.ok(first <= MEMORY, `${first} bytes`)
      await writtenTo(incoming, first)
      let drained = false
      const drain = incoming.drained().then(() => {
        drained = true
      })
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(drained, false)
      const target = Buffer.alloc(first)
      for (let at = 0; at < first; ) at += await incoming.read(target.subarray(at), at)
      assert.deepEqual(target, bytes.subarray(0, first))
      assert.equal(incoming.readableFrom, 0)
      incoming.discardBefore(first)
      await drain
      assert.equal(incoming.readableFrom, first)
      await assert.rejects(async () => incoming.read(Buffer.alloc(1), 0), { code: 'disk' })
      assert.ok(fillUp(incoming, bytes) > 0)
      await incoming.close()
    })

    it('has room for the end of a body that nobody may read before all of it is there', async () => {
      const bytes = randomBytes(5_000_000)
      const others = await Promise.all(
        Array.from({ length: 5 }, async () => {
          const other = await store.begin(wanted(digestOf(randomBytes(10))))
          await other.reserve(bytes.length)
          return other
        }),
      )
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await incoming.reserve(bytes.length)
      for (const other of others) fillUp(other, bytes)
      const gate = bytes.length - 65536
      const reading = passOn(incoming, gate)
      await feed(incoming, bytes, 40_001)
      assert.deepEqual(await reading, bytes.subarray(0, gate))
      assert.equal(await incoming.digest(), digestOf(bytes))
      const end = Buffer.alloc(65536)
      for (let at = 0; at < end.length; ) at += await incoming.read(end.subarray(at), gate + at)
      assert.deepEqual(end, bytes.subarray(gate))
      await Promise.all([incoming, ...others].map((each) => each.close()))
    })

    it('cannot take a part back, and says so: it begins anew', async () => {
      const bytes = randomBytes(LIMIT - 1)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      assert.equal(await incoming.reserve(TOO_MUCH), false)
      const reading = passOn(incoming, 300_000)
      await feed(incoming, randomBytes(300_000))
      await reading
      await incoming.truncate(65536)
      assert.equal(incoming.position, 0)
      assert.equal(incoming.readableFrom, 0)
      assert.equal(incoming.checkpoints.count, 0)
      assert.equal(incoming.isStorable, true)
      await feed(incoming, bytes)
      assert.equal(await incoming.digest(), digestOf(bytes))
      await incoming.close()
    })

    it('marks what goes through it without being kept', async () => {
      const bytes = randomBytes(3_000_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await incoming.reserve(TOO_MUCH)
      const reading = passOn(incoming, bytes.length)
      await feed(incoming, bytes)
      await reading
      assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes))
      await incoming.close()
    })

    it('begins anew as one that may be kept', async () => {
      const bytes = randomBytes(LIMIT - 1)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      assert.equal(await incoming.reserve(TOO_MUCH), false)
      const reading = passOn(incoming, 300_000)
      await feed(incoming, randomBytes(300_000))
      await reading
      await incoming.restart()
      assert.equal(incoming.position, 0)
      assert.equal(incoming.readableFrom, 0)
      assert.equal(incoming.isStorable, true)
      assert.equal(await incoming.reserve(bytes.length), true)
      await feed(incoming, bytes)
      assert.equal(await incoming.commit(facts), true)
      await incoming.close()
      assert.deepEqual(await stored(store, digestOf(bytes)), bytes)
    })

    it('is read right, however bytes come, are read and are forgotten', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 1_500_000 }),
          fc.option(fc.integer({ min: 1, max: LIMIT })),
          fc.array(fc.integer({ min: 1, max: 120_000 }), { minLength: 1, maxLength: 20 }),
          async (size, keptFirst, cuts) => {
            const bytes = randomBytes(size)
            const incoming = await store.begin(wanted(digestOf(bytes)))
            try {
              if (keptFirst !== null) {
                await incoming.reserve(keptFirst)
                await feed(incoming, bytes.subarray(0, keptFirst))
              }
              const refused = incoming.reserve(TOO_MUCH)
              const reading = passOn(incoming, size)
              for (let turn = 0; incoming.position < size; turn++) {
                const cut = cuts[turn % cuts.length] ?? 1
                const { position } = incoming
                await feed(incoming, bytes.subarray(position, position + cut), cut)
              }
              assert.equal(await refused, false)
              assert.deepEqual(await reading, bytes)
              assert.equal(await incoming.digest(), digestOf(bytes))
            } finally {
              await incoming.close()
            }
          },
        ),
        { numRuns: 40 },
      )
    })
  })
}
