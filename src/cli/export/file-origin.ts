import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { SourceReader } from '../../export/readers/source-reader.ts'
import type { NameRules } from '../../oci/names/name-rules.ts'
import { isTag } from '../../oci/names/names.ts'
import type { Reference } from '../../oci/names/reference.ts'
import { UNCHECKED } from '../../sources/files/file-verifier.ts'
import { OciLayoutSource } from '../../sources/files/oci-layout.ts'
import { SkopeoFolderSource } from '../../sources/files/skopeo-folder.ts'
import { CommandError } from '../context/command.ts'
import type { Origin } from './transport.ts'

/** Images in files, opened for reading. */
export interface FileOrigin {
  readonly reader: SourceReader
  /** All images that are there. Rejects when there are none. */
  images(options: { readonly signal: AbortSignal }): Promise<readonly Reference[]>
}

/** The bytes are not verified: the export hashes all of them. */
export async function openFileOrigin({ kind, path }: Origin, defaultRegistry: string): Promise<FileOrigin> {
  const rules: NameRules = { registry: undefined, defaultRegistry, namePrefix: undefined, prefixes: [] }
  const common = { rules, isExclusive: false, verifier: UNCHECKED }
  const single = kind === 'dir' && (await isFile(join(path, 'manifest.json'))) ? resolve(path) : undefined
  const source =
    kind === 'dir'
      ? new SkopeoFolderSource({ ...common, path: single === undefined ? path : dirname(dirname(single)) })
      : new OciLayoutSource({ ...common, path })
  const reader = new SourceReader(source)
  return {
    reader,
    async images({ signal }) {
      const all = await reader.images({ signal })
      const images = single === undefined ? all : all.filter((image) => isAt(image, single))
      if (images.length > 0) return images
      throw new CommandError(
        single === undefined
          ? `${path} has no whole image with a name; ${kind === 'dir' ? 'each has to be in <name>/<tag>/, as skopeo writes it' : 'name its images by the annotation org.opencontainers.image.ref.name'}`
          : `${path} is no whole image, or its last two folders are no name and tag; move it to <name>/<tag>/`,
      )
    },
  }
}

/** The path of a single image ends with its name and tag. */
function isAt({ repository, tag }: Reference, path: string): boolean {
  const name = basename(dirname(path))
  return (
    tag === basename(path) &&
    isTag(tag) &&
    repository.name.split('/').at(-1) === name &&
    !repository.name.replace(/^library\//, '').includes('/')
  )
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
