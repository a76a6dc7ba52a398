import assert from 'node:assert/strict'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../../testkit/programs.ts'
import { digestOf, type Image } from '../../../testkit/registries/image.ts'
import { assertBlobsIn, type Client, type Kind, type Name, written } from './client.ts'

/** Has no mirrors set up: the agent is the registry that is named, and the path says which one is meant. */
export const skopeo: Kind = {
  name: 'skopeo',
  programs: ['skopeo'],
  needsRoot: false,
  registry: 'registry.test',
  async start(programs, folder, address) {
    await mkdir(folder, { recursive: true })
    return new Skopeo(programs['skopeo'] ?? '', folder, `${address}/${this.registry}`)
  },
}

export async function assertCopied(image: Image, folder: string): Promise<void> {
  assert.equal(digestOf(await readFile(join(folder, 'manifest.json'))), image.manifest.digest)
  await assertBlobsIn(folder, image)
}

class Skopeo implements Client {
  readonly #program: string
  readonly #folder: string
  readonly #prefix: string

  constructor(program: string, folder: string, prefix: string) {
    this.#program = program
    this.#folder = folder
    this.#prefix = prefix
  }

  async pull(name: Name): Promise<void> {
    const from = `docker://${written(this.#prefix, name)}`
    const options = ['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false']
    await run(this.#program, [...options, from, `dir:${this.#target(name)}`])
  }

  async check(name: Name, image: Image): Promise<void> {
    await assertCopied(image, this.#target(name))
  }

  async forget(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
    await mkdir(this.#folder)
  }

  async stop(): Promise<void> {}

  #target(name: Name): string {
    return join(this.#folder, encodeURIComponent(`${name.repository}@${name.reference}`).replaceAll('%', '_'))
  }
}
