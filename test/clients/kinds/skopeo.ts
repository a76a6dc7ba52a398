import assert from 'node:assert/strict'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../../testkit/programs.ts'
import { digestOf, type Image } from '../../../testkit/registries/image.ts'
import { assertHasBlobs, type Client, type ClientKind, type ImageName, imageName } from './client.ts'

/** skopeo has no mirrors configured: the agent is the registry in the image name, and the path names the upstream registry. */
export const skopeo: ClientKind = {
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
  await assertHasBlobs(folder, image)
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

  async pull(name: ImageName): Promise<void> {
    const from = `docker://${imageName(this.#prefix, name)}`
    const options = ['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false']
    await run(this.#program, [...options, from, `dir:${this.#target(name)}`])
  }

  async check(name: ImageName, image: Image): Promise<void> {
    await assertCopied(image, this.#target(name))
  }

  async forget(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
    await mkdir(this.#folder)
  }

  async stop(): Promise<void> {}

  #target(name: ImageName): string {
    return join(this.#folder, encodeURIComponent(`${name.repository}@${name.reference}`).replaceAll('%', '_'))
  }
}
