import { StaticTree } from '../../export/static/static-tree.ts'
import { BundleList } from '../../export/targets/bundle-list.ts'
import { OciArchive } from '../../export/targets/oci-archive.ts'
import { OciFolder } from '../../export/targets/oci-folder.ts'
import { SkopeoFolder } from '../../export/targets/skopeo-folder.ts'
import type { ExportTarget } from '../../export/targets/target.ts'
import { type Invocation, singleValue, usageError } from '../context/command.ts'
import type { Target } from './transport.ts'

/** The lists that make a bundle of the target; undefined: it is none. */
export function openBundle(
  { values, ...given }: Invocation,
  { kind }: Target,
): Promise<BundleList> | undefined {
  const since = [values['since'] ?? []].flat()
  const list = singleValue({ values, ...given }, 'list')
  if (since.length === 0 && list === undefined) return undefined
  if (kind === 'oci' || kind === 'oci-archive') return BundleList.open(since)
  throw usageError(
    `--${list === undefined ? 'since' : 'list'} makes a bundle, which is an oci: or oci-archive: only`,
  )
}

export function openTarget(
  { kind, path }: Target,
  options: {
    /** The user has named one image. */
    readonly isOneNamed: boolean
    readonly namePrefix: string
    readonly bundle: BundleList | undefined
  },
): Promise<ExportTarget> {
  switch (kind) {
    case 'oci':
      return OciFolder.open(path, options.bundle)
    case 'oci-archive':
      return OciArchive.open(path, options.bundle)
    case 'dir':
      // Like skopeo, one image is written to the path itself.
      return SkopeoFolder.open(path, { isSingle: options.isOneNamed })
    case 'static':
      return StaticTree.open(path, { namePrefix: options.namePrefix })
  }
}
