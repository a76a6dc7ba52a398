import { errorBody, type OciErrorCode } from '../../oci/errors.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import { quoted, type ServedFile, type ServerSyntax, servedFiles } from './server-config.ts'
import type { TreeRepository } from './tree.ts'

const EMPTY_LIST = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] })

/** For a site block of Caddy 2.6 or newer, into which the file is imported. */
export const CADDY: ServerSyntax = {
  comment:
    '# Serves a folder that agent export has written as a registry. To be imported in a site block of Caddy.',
  constants: () =>
    route([
      'redir /v2 /v2/ 301',
      ...block('@leat_write', ['path /v2/*', 'not method GET HEAD']),
      ...block('handle @leat_write', answer('UNSUPPORTED', 'this registry is read-only', 405)),
      ...block('handle /v2/', [
        'header Content-Type application/json',
        'header Docker-Distribution-Api-Version registry/2.0',
        'respond {} 200',
      ]),
      ...block('handle /v2/*', answer('NAME_UNKNOWN', 'this registry has no such repository', 404)),
    ]),
  repository: (repository, serverRoot) => repositoryText(repository, serverRoot),
}

function repositoryText(repository: TreeRepository, serverRoot: string): string {
  const root = `root * ${quoted(serverRoot)}`
  const pattern = `^/v2/${repository.name.replaceAll('.', '\\.')}`
  // Without a digest of a fixed length, because Caddy would take braces for a placeholder.
  const digest = 'sha(?:256|512):[0-9a-f]+'
  const matcher = (what: string, path: string): readonly string[] =>
    block(`@${what}`, ['method GET HEAD', `path_regexp ${what} ${pattern}/${path}$`])
  const lines = [
    ...servedFiles(repository).flatMap((file, at) => fileText(file, `@file${at}`, root)),
    ...matcher('blob', `blobs/(${digest})`),
    ...block('handle @blob', [
      root,
      '@exists file',
      ...block('handle @exists', [
        'header Content-Type application/octet-stream',
        'header Docker-Content-Digest {re.blob.1}',
        'file_server',
      ]),
      ...block('handle', answer('BLOB_UNKNOWN', 'the repository has no such blob', 404)),
    ]),
    ...matcher('referrers', `referrers/${digest}`),
    ...block('handle @referrers', [
      root,
      `header Content-Type ${OCI_INDEX}`,
      '@exists file',
      ...block('handle @exists', ['file_server']),
      ...block('handle', [`respond \`${EMPTY_LIST}\` 200`]),
    ]),
    ...matcher('manifest', 'manifests/[^/]+'),
    ...block('handle @manifest', answer('MANIFEST_UNKNOWN', 'the repository has no such manifest', 404)),
  ]
  return `# ${repository.name}\n${route(lines)}`
}

/** The names of matchers are known only inside their route. */
function fileText({ path, mediaType, digest }: ServedFile, matcher: string, root: string): readonly string[] {
  return [
    ...block(matcher, ['method GET HEAD', `path ${path}`]),
    ...block(`handle ${matcher}`, [
      root,
      `header Content-Type ${quoted(mediaType)}`,
      ...(digest === undefined ? [] : [`header Docker-Content-Digest ${quoted(digest)}`]),
      'file_server',
    ]),
  ]
}

function answer(code: OciErrorCode, message: string, status: number): readonly string[] {
  const body = errorBody(code, message).toString('utf8')
  return ['header Content-Type application/json', `respond \`${body}\` ${status}`]
}

/** Caddy sorts directives, except inside a route. */
function route(lines: readonly string[]): string {
  return `${block('route', lines).join('\n')}\n`
}

function block(head: string, lines: readonly string[]): readonly string[] {
  return [`${head} {`, ...lines.map((line) => `\t${line}`), '}']
}
