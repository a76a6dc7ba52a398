import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Image } from '../../../testkit/registries/image.ts'

/** The default address of the agent. */
const DEFAULT_ADDRESS = '127.0.0.1:5050'

/** The name of an image, without its registry. */
export interface ImageName {
  readonly repository: string
  /** A tag or a digest. */
  readonly reference: string
}

/** A real container tool with its own storage, configured to pull through the agent. */
export interface Client {
  /** Rejects with the output of the tool when the tool fails. */
  pull(name: ImageName): Promise<void>
  /** Rejects unless the client has stored exactly this image. */
  check(name: ImageName, image: Image): Promise<void>
  /** Removes every image, so that the next pull requests everything again. */
  forget(): Promise<void>
  stop(): Promise<void>
}

/** A kind of client: the programs that it needs, and how it is configured for an agent at `address`. */
export interface ClientKind {
  readonly name: string
  readonly programs: readonly string[]
  readonly needsRoot: boolean
  /** The registry that its images are from. */
  readonly registry: string
  start(programs: Record<string, string>, folder: string, address: string): Promise<Client>
}

export function imageName(registry: string, { repository, reference }: ImageName): string {
  return `${registry}/${repository}${reference.includes(':') ? '@' : ':'}${reference}`
}

/** A file of `deploy/`, with the address of the agent replaced. */
export async function deployText(file: string, address: string): Promise<string> {
  const text = await readFile(new URL(`../../../../deploy/${file}`, import.meta.url), 'utf8')
  assert.ok(text.includes(DEFAULT_ADDRESS), `deploy/${file} does not name the agent`)
  return text.replaceAll(DEFAULT_ADDRESS, address)
}

/** Asserts that the folder has every blob of the image, in a file that is named by the hex of its digest. */
export async function assertHasBlobs(folder: string, image: Image): Promise<void> {
  for (const { digest } of image.blobs) {
    const hex = digest.slice('sha256:'.length)
    const found = createHash('sha256')
      .update(await readFile(join(folder, hex)))
      .digest('hex')
    assert.equal(found, hex)
  }
}

/** Asserts that the folder has the files of the image's layers. */
export async function assertHasFiles(folder: string, image: Image): Promise<void> {
  for (const [file, content] of image.files) {
    assert.ok(content.equals(await readFile(join(folder, file))), `${file} differs from the layer`)
  }
}
