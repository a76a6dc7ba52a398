import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { ImportOptions } from '../../src/import/import-run.ts'
import { type ImportPlace, runImport } from '../../src/import/open-import.ts'
import type { ImportTarget } from '../../src/import/target/import-target.ts'
import { StoreTarget } from '../../src/import/target/store-target.ts'
import { type Digest, parseDigest } from '../../src/oci/digest.ts'
import type { Repository } from '../../src/oci/names/repository.ts'
import type { ImportDone, ImportedImage, ImportLine, LeftOutFile } from '../../src/schemas/import-report.ts'
import type { Store } from '../../src/store/store.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { openStore } from '../store/folder.ts'

const OPTIONS: ImportOptions = { selection: 'all', referrers: false, as: undefined, pin: false, move: false }

export interface Imported {
  readonly images: readonly ImportedImage[]
  readonly leftOut: readonly LeftOutFile[]
  readonly done: ImportDone
}

/** A store in a temporary folder, and imports into it. */
export interface ImportLab {
  readonly folder: string
  readonly store: Store
  readonly target: ImportTarget
  run(place: ImportPlace, options?: Partial<ImportOptions>, registry?: string): Promise<Imported>
  tagOf(repository: Repository, tag: string): Promise<string | undefined>
  isStored(digest: string): Promise<boolean>
}

export async function startLab(t: TestContext, maxBytes?: number): Promise<ImportLab> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-import-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true }))
  const limit = maxBytes === undefined ? {} : { maxBytes: { bytes: maxBytes } }
  const store = await openStore({ path: join(folder, 'data'), ...limit })
  addCleanup(t, () => store.close())
  const target = new StoreTarget(store, ({ name }) => name.startsWith('hosted/'))
  return {
    folder,
    store,
    target,
    run: (place, options = {}, registry) => runInto(target, place, options, registry),
    tagOf: async (repository, tag) => (await store.catalog.tag(repository, tag))?.digest,
    isStored: async (digest) => (await store.blobs.facts(asDigest(digest))) !== undefined,
  }
}

export async function runInto(
  target: ImportTarget,
  place: ImportPlace,
  options: Partial<ImportOptions> = {},
  registry?: string,
  signal = new AbortController().signal,
): Promise<Imported> {
  const job = {
    place,
    names: { registry, defaultRegistry: 'docker.io' },
    options: { ...OPTIONS, ...options },
    environment: { TMPDIR: tmpdir() },
  }
  const lines: ImportLine[] = []
  for await (const line of runImport(job, target, { signal })) lines.push(line)
  return {
    images: lines.filter((line) => line.is === 'image'),
    leftOut: lines.filter((line) => line.is === 'left-out'),
    done: lines.find((line) => line.is === 'done') ?? assert.fail('the import has no last line'),
  }
}

export function asDigest(text: string): Digest {
  return parseDigest(text) ?? assert.fail(`${text} is no digest`)
}

export function hub(name: string): Repository {
  return { registry: 'docker.io', name }
}
