import { OCI_INDEX } from '../../oci/media-types.ts'
import { servedFiles } from './server-config.ts'
import { blobsOf, readRepository, referrersOf, repositoriesIn } from './tree.ts'

/**
 * Lists the files of the tree in `root` with their types, for servers that are told the type of each file when it is
 * uploaded, as object stores are. A line has the path, a tab and the type. What others refer to comes first: whoever uploads
 * the files in this order never serves an image that is not whole.
 */
export async function typeList(root: string): Promise<string> {
  const contents: string[] = []
  const names: string[] = []
  for (const name of await repositoriesIn(root)) {
    const at = `v2/${name}`
    for (const digest of await blobsOf(root, name)) {
      contents.push(lineOf(`${at}/blobs/${digest}`, 'application/octet-stream'))
    }
    for (const digest of await referrersOf(root, name)) {
      names.push(lineOf(`${at}/referrers/${digest}`, OCI_INDEX))
    }
    for (const { path, mediaType, digest } of servedFiles(await readRepository(root, name))) {
      const list = digest !== undefined && path.endsWith(`/${digest}`) ? contents : names
      list.push(lineOf(path.slice(1), mediaType))
    }
  }
  return [...contents, ...names, lineOf('v2/index.html', 'application/json')].join('')
}

function lineOf(path: string, type: string): string {
  return `${path}\t${type}\n`
}
