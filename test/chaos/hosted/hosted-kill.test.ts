import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openHosted } from '../../../src/hosted/open-hosted.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { openStore } from '../../../src/store/open.ts'
import type { Store } from '../../../src/store/store.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { numberFromEnvironment, seededRandom } from '../../../testkit/seeded-random.ts'
import { readContent } from '../../conformance/blob-steps.ts'
import { TEAM } from '../../hosted/lab.ts'
import { all, folder } from '../../store/folder.ts'

/** Clients push into hosted repositories while garbage is collected, and the process is killed again and again. */

const CYCLES = numberFromEnvironment('LEAT_CHAOS_CYCLES') ?? 40
const CYCLES_PER_TEST = 10
const PROGRAM = fileURLToPath(new URL('./hosting-program.js', import.meta.url))

/** What the programs have said. */
class Told {
  /** What each tag may refer to: what was answered last, and what a step that had no answer has begun; `-` for nothing. */
  readonly tags = new Map<string, Set<string>>()
  upload: { id: string; position: number } | undefined
  pushes = 0
  collected = 0

  hear(line: string): void {
    const [step, name = '', value = ''] = line.split(' ')
    const possible = this.tags.get(name) ?? new Set(['-'])
    if (step === 'begin') this.tags.set(name, new Set([...possible, value]))
    if (step === 'done') this.tags.set(name, new Set([value]))
    if (step === 'done' && value !== '-') this.pushes += 1
    if (step === 'sent') this.upload = { id: name, position: Number(value) }
    if (step === 'collected') this.collected += 1
  }
}

it(`${CYCLES} kills lose nothing that was answered, and leave nothing half`, {
  timeout: 20_000 * CYCLES,
}, async (t) => {
  const random = seededRandom('hosted-kill')
  // In memory, where a sync costs nothing: after a kill, a disk would have the same bytes.
  const path = await folder(t, existsSync('/dev/shm') ? '/dev/shm' : undefined)
  const told = new Told()
  let hasPassed = true
  for (let first = 1; first <= CYCLES && hasPassed; first += CYCLES_PER_TEST) {
    const last = Math.min(CYCLES, first + CYCLES_PER_TEST - 1)
    await t.test(`cycles ${first} to ${last}`, async () => {
      hasPassed = false
      for (let cycle = first; cycle <= last; cycle++) {
        await runUntilKilled(path, random.between(1, 2 ** 30), random.between(0, 25), told)
        await inspect(path, told, cycle)
      }
      hasPassed = true
    })
  }
  if (!hasPassed) return
  console.log(`${told.pushes} pushes were answered, ${told.collected} names and contents were collected`)
  assert.ok(told.pushes > 0 && (told.collected > 0 || CYCLES < 20))
})

/** Runs the program until it has said so many lines, and kills it. */
async function runUntilKilled(path: string, seed: number, lines: number, told: Told): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, path, String(seed)], {
    env: { ...process.env, LEAT_HOSTING_PROGRAM: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  const reading = createInterface({ input: child.stdout })
  let left = lines
  reading.on('line', (line) => {
    told.hear(line)
    if (line !== 'ready' && !line.startsWith('sent') && left-- === 0) child.kill('SIGKILL')
  })
  const ended = once(reading, 'close')
  const [, signal] = await closed
  await ended
  assert.equal(signal, 'SIGKILL', 'the program has failed')
}

async function inspect(path: string, told: Told, cycle: number): Promise<void> {
  const store = await openStore({ path })
  try {
    await store.recovered
    const hosted = openHosted({ names: ['team/**'] }, store, { state: async () => undefined })
    try {
      const { catalog } = store.hosted
      const actual = new Map((await all(catalog.tags(TEAM))).map(({ tag, digest }) => [tag, digest]))
      for (const tag of new Set([...told.tags.keys(), ...actual.keys()])) {
        const possible = told.tags.get(tag) ?? new Set(['-'])
        const found = actual.get(tag) ?? '-'
        assert.ok(
          possible.has(found),
          `cycle ${cycle}: ${tag} is ${found} instead of ${[...possible].join(' or ')}`,
        )
        told.tags.set(tag, new Set([found]))
      }
      for (const digest of new Set(actual.values())) await assertWhole(store, digest, cycle)
      for await (const link of catalog.links(TEAM)) {
        if (link.kind === 'manifest' && (await catalog.link(TEAM, link.digest)) !== undefined)
          await assertLinked(store, link.digest, cycle)
      }
      const { upload } = told
      if (upload !== undefined) {
        const state = await hosted.registry.uploads.state(TEAM, upload.id)
        assert.ok((state?.position ?? -1) >= upload.position, `cycle ${cycle}: the upload has lost bytes`)
        assert.equal(await hosted.registry.uploads.cancel(TEAM, upload.id), true)
        told.upload = undefined
      }
    } finally {
      await hosted.close()
    }
  } finally {
    await store.close()
  }
}

/** All that a manifest needs belongs to the repository. */
async function assertLinked(store: Store, manifest: Digest, cycle: number): Promise<readonly Digest[]> {
  const parts = await store.references(manifest)
  const linked = await store.hosted.catalog.filterLinked(TEAM, parts)
  assert.deepEqual([...linked].sort(), [...parts].sort(), `cycle ${cycle}: parts of ${manifest} are missing`)
  return parts
}

async function assertWhole(store: Store, image: Digest, cycle: number): Promise<void> {
  for (const digest of [image, ...(await assertLinked(store, image, cycle))]) {
    const content = await store.blobs.open(digest)
    assert.ok(content, `cycle ${cycle}: ${digest} of ${image} is gone`)
    assert.equal(digestOf(await readContent(content)), digest)
    await content.close()
  }
}
