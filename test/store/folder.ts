import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Events, subscribe } from '../../src/observe/events.ts'
import { openStore as open, type StoreOptions } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { sharedLanes } from '../lanes/shared-lanes.ts'

/** Makes an empty folder, which is removed when the test is over. */
export async function folder(t: TestContext, parent = tmpdir()): Promise<string> {
  const path = await mkdtemp(join(parent, 'leat-store-'))
  addCleanup(t, () => rm(path, { recursive: true, force: true }))
  return path
}

/** Mounts a small filesystem. Only root may do so: other users skip the test. */
export async function smallDisk(t: TestContext, bytes: number): Promise<string | undefined> {
  if (process.getuid?.() !== 0) {
    t.skip('only root may mount a small disk')
    return undefined
  }
  const path = await folder(t)
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path], { stdio: 'ignore' })
  } catch {
    t.skip('this machine does not let a small disk be mounted')
    return undefined
  }
  addCleanup(t, () => execFileSync('/bin/umount', [path]))
  return path
}

/** Opens a store with the lanes of all tests, unless it is given others. */
export function openStore(options: StoreOptions): Promise<Store> {
  return open({ lanes: sharedLanes(), ...options })
}

/** Opens a store, which is closed when the test is over. */
export async function opened(t: TestContext, options: StoreOptions): Promise<Store> {
  const store = await openStore(options)
  addCleanup(t, () => store.close())
  return store
}

/** Collects all events of this name until the test is over. */
export function published<Name extends keyof Events>(t: TestContext, name: Name): Events[Name][] {
  const facts: Events[Name][] = []
  addCleanup(
    t,
    subscribe(name, (fact) => facts.push(fact)),
  )
  return facts
}

export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = []
  for await (const item of items) found.push(item)
  return found
}
