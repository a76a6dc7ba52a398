import { ExportError } from '../targets/export-error.ts'
import { readRepository, repositoriesIn, type TreeRepository } from './tree.ts'

/** Which parts of a configuration are written: with, without, or only what is the same for every tree. */
export type Constants = 'with' | 'without' | 'only'

export interface ServerConfigOptions {
  /** Where the server finds the tree: a path, or a variable of the server. */
  readonly serverRoot: string
  readonly constants: Constants
}

/** One file that the server sends under a path of the registry API, with its headers. */
export interface ServedFile {
  readonly path: string
  readonly mediaType: string
  readonly digest: string | undefined
}

/** How one server is configured. */
export interface ServerSyntax {
  readonly comment: string
  /** What is the same for every tree. It comes last, as it answers what no repository has answered. */
  constants(): string
  repository(repository: TreeRepository, serverRoot: string): string
}

/** The configuration with which a server of files serves the tree in `root` as a registry. */
export async function serverConfig(
  root: string,
  syntax: ServerSyntax,
  { serverRoot, constants }: ServerConfigOptions,
): Promise<string> {
  checkServerRoot(serverRoot)
  const parts = [`${syntax.comment}\n`]
  if (constants !== 'only') {
    for (const name of await repositoriesIn(root)) {
      parts.push(syntax.repository(await readRepository(root, name), serverRoot))
    }
  }
  if (constants !== 'without') parts.push(syntax.constants())
  return parts.join('\n')
}

/** The files of a repository that need a type or a digest of their own. */
export function servedFiles({ name, manifests, tags }: TreeRepository): readonly ServedFile[] {
  const at = (reference: string): string => `/v2/${name}/manifests/${reference}`
  return [
    { path: `/v2/${name}/tags/list`, mediaType: 'application/json', digest: undefined },
    ...[...tags]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([tag, { mediaType, digest }]) => ({ path: at(tag), mediaType, digest })),
    ...[...manifests.values()]
      .sort((one, other) => (one.digest < other.digest ? -1 : 1))
      .map(({ mediaType, digest }) => ({ path: at(digest), mediaType, digest })),
  ]
}

/** A text in double quotes, in which the server still replaces variables. */
export function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function checkServerRoot(serverRoot: string): void {
  const isPrintable = [...serverRoot].every((letter) => letter >= ' ' && letter !== '\u007f')
  if (serverRoot !== '' && isPrintable) return
  throw new ExportError(
    '--server-root is empty or has a control character; give a path, or a variable of the server',
  )
}
