import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../src/oci/digest.ts'
import { Layout } from '../../src/store/files/layout.ts'
import { keep } from '../conformance/blob-steps.ts'
import { openStore } from './folder.ts'

/** Makes a store with these blobs, and closes it. */
export async function filled(path: string, ...blobs: Uint8Array[]): Promise<Digest[]> {
  const store = await openStore({ path })
  try {
    const digests: Digest[] = []
    for (const bytes of blobs) digests.push(await keep(store.blobs, bytes))
    return digests
  } finally {
    await store.close()
  }
}

/** Writes the files of a partial, as an interrupted transfer leaves them. */
export async function leavePartial(path: string, digest: Digest, bytes: Uint8Array): Promise<string> {
  const at = new Layout(path).partialOf(digest)
  await mkdir(at, { recursive: true })
  await writeFile(join(at, 'data'), bytes)
  const state = { version: 1, kind: 'blob', registry: 'docker.io', name: 'library/alpine' }
  await writeFile(join(at, 'state'), JSON.stringify(state))
  return at
}
