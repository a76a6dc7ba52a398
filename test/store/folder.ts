import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Events, subscribe } from '../../src/observe/events.ts'
import { openStore, type Store, type StoreOptions } from '../../src/store/open.ts'

/** An empty folder that is removed when the test is over. */
export async function folder(t: TestContext, parent = tmpdir()): Promise<string> {
  const path = await mkdtemp(join(parent, 'leat-store-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

/** A store that is closed when the test is over. */
export async function opened(t: TestContext, options: StoreOptions): Promise<Store> {
  const store = await openStore(options)
  t.after(() => store.close())
  return store
}

/** What is published under this name while the test runs. */
export function published<Name extends keyof Events>(t: TestContext, name: Name): Events[Name][] {
  const facts: Events[Name][] = []
  t.after(subscribe(name, (fact) => facts.push(fact)))
  return facts
}

export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = []
  for await (const item of items) found.push(item)
  return found
}
