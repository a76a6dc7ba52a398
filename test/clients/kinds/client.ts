import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Image } from '../../../testkit/registries/image.ts'

/** Where users find the agent. */
const USUAL = '127.0.0.1:5050'

/** An image as a person would write it after the registry. */
export interface Name {
  readonly repository: string
  /** A tag or a digest. */
  readonly reference: string
}

/** A real container tool with storage of its own, told to pull through the agent. */
export interface Client {
  /** Rejects with what the tool said when it says that it failed. */
  pull(name: Name): Promise<void>
  /** Rejects unless it holds exactly this image, bytes and all. */
  check(name: Name, image: Image): Promise<void>
  /** Drops every image, so that the next pull asks for everything again. */
  forget(): Promise<void>
  stop(): Promise<void>
}

/** Where a client comes from: the programs it needs and how it is set up for an agent at `address`. */
export interface Kind {
  readonly name: string
  readonly programs: readonly string[]
  readonly needsRoot: boolean
  /** The registry that its images are from. */
  readonly registry: string
  start(programs: Record<string, string>, folder: string, address: string): Promise<Client>
}

export function written(registry: string, { repository, reference }: Name): string {
  return `${registry}/${repository}${reference.includes(':') ? '@' : ':'}${reference}`
}

/** What `deploy/` tells users to write, for an agent at `address`. */
export async function deployed(file: string, address: string): Promise<string> {
  const text = await readFile(new URL(`../../../../deploy/${file}`, import.meta.url), 'utf8')
  assert.ok(text.includes(USUAL), `deploy/${file} does not name the agent`)
  return text.replaceAll(USUAL, address)
}

/** Every blob of the image lies in `folder` under the hex of its digest and is what it is called. */
export async function assertBlobsIn(folder: string, image: Image): Promise<void> {
  for (const { digest } of image.blobs) {
    const hex = digest.slice('sha256:'.length)
    const found = createHash('sha256')
      .update(await readFile(join(folder, hex)))
      .digest('hex')
    assert.equal(found, hex)
  }
}

/** The files that the image's layers make are in `folder`. */
export async function assertFilesIn(folder: string, image: Image): Promise<void> {
  for (const [file, content] of image.files) {
    assert.ok(content.equals(await readFile(join(folder, file))), `${file} is not what the layer holds`)
  }
}
