import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../../src/oci/digest.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import type { Store } from '../../../src/store/store.ts'
import { openStore } from '../folder.ts'

/** The store on disk that is compared with the model. It can be restarted, and can crash. */
export class TestedStore {
  readonly root: string
  store: Store
  #path: string
  #crashes = 0

  static async begin(root: string): Promise<TestedStore> {
    const path = join(root, '0')
    return new TestedStore(root, path, await openStore({ path }))
  }

  private constructor(root: string, path: string, store: Store) {
    this.root = root
    this.#path = path
    this.store = store
  }

  /** Restarts the store, after the file of a blob was deleted if the step says so. */
  async restart(missing?: Digest): Promise<void> {
    await this.store.close()
    if (missing !== undefined) await rm(new Layout(this.#path).blob(missing), { force: true })
    this.store = await openStore({ path: this.#path })
    await this.store.recovered
  }

  /** Simulates a crash: a new store opens a copy of the folder as it is now. */
  async crash(): Promise<void> {
    this.#crashes += 1
    const next = join(this.root, `${this.#crashes}`)
    await cp(this.#path, next, { recursive: true })
    await this.store.close()
    await rm(this.#path, { recursive: true })
    this.#path = next
    this.store = await openStore({ path: next })
    await this.store.recovered
  }
}
