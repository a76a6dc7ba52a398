import type { LocalSource } from '../ports/local-source.ts'
import { FileVerifier } from './files/file-verifier.ts'
import { OciLayoutSource } from './files/oci-layout.ts'
import { SkopeoFolderSource } from './files/skopeo-folder.ts'

/** One entry of the setting `sources`. */
export interface SourceOptions {
  readonly from: { readonly kind: 'oci' | 'dir'; readonly path: string }
  readonly registry?: string | undefined
  readonly namePrefix?: string | undefined
  readonly prefixes?: readonly string[] | undefined
  readonly isExclusive?: boolean | undefined
}

/** The local sources of an agent, with what they share. The owner closes them. */
export interface LocalSources {
  readonly list: readonly LocalSource[]
  close(): Promise<void>
}

export function openSources(options: readonly SourceOptions[], defaultRegistry: string): LocalSources {
  const verifier = new FileVerifier()
  const list = options.map(
    ({ from, registry, namePrefix, prefixes = [], isExclusive = false }): LocalSource => {
      const rules = { registry, defaultRegistry, namePrefix, prefixes }
      const common = { path: from.path, rules, isExclusive, verifier }
      return from.kind === 'oci' ? new OciLayoutSource(common) : new SkopeoFolderSource(common)
    },
  )
  return {
    list,
    async close() {
      await Promise.all(list.map((source) => source.close()))
      await verifier.close()
    },
  }
}
