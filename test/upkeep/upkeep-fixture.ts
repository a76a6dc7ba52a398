import { beforeEach } from 'node:test'
import { Upkeep } from '../../src/upkeep/upkeep.ts'
import { MemoryUpkeepStore } from './memory-upkeep-store.ts'

/** The names of the blobs that `putTwoImages` stores. */
export const ALL = ['app', 'config', 'base', 'own', 'other', 'more']

/** A store in memory and its upkeep. Every test of a file gets new ones. */
export class UpkeepFixture {
  store = new MemoryUpkeepStore()
  upkeep = new Upkeep(this.store, 'docker.io')

  constructor() {
    beforeEach(() => {
      this.store = new MemoryUpkeepStore()
      this.upkeep = new Upkeep(this.store, 'docker.io')
    })
  }

  /** Stores two images that share a base layer. */
  putTwoImages(): void {
    for (const name of ['config', 'base', 'own', 'more']) this.store.put(name)
    this.store.put('app', ['config', 'base', 'own'])
    this.store.put('other', ['base', 'more'])
    this.store.tagAs('app', 'app')
    this.store.tagAs('other', 'other')
  }
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}
