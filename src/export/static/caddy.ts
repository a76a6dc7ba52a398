import { errorBody } from '../../oci/errors.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import { quoted, type ServedFile, type ServerSyntax, servedFiles } from './server-config.ts'
import type { TreeRepository } from './tree.ts'

const EMPTY_LIST = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] })

/** For a site block of Caddy 2.6 or newer, into which the file is imported. */
export const CADDY: ServerSyntax = {
  comment:
    '# Serves a folder that agent export has written as a registry. To be imported in a site block of Caddy.',
  constants: () => `redir /v2 /v2/ 301
handle /v2/ {
	header Content-Type application/json
	header Docker-Distribution-Api-Version registry/2.0
	respond {} 200
}
@leat_write {
	path /v2/*
	not method GET HEAD
}
handle @leat_write {
	header Content-Type application/json
	respond \`${error('UNSUPPORTED', 'this registry is read-only')}\` 405
}
handle /v2/* {
	header Content-Type application/json
	respond \`${error('NAME_UNKNOWN', 'this registry has no such repository')}\` 404
}
`,
  repository: (repository, serverRoot) => repositoryText(repository, serverRoot),
}

function repositoryText(repository: TreeRepository, serverRoot: string): string {
  const { name } = repository
  const id = `leat_${Buffer.from(name).toString('hex')}`
  const root = `root * ${quoted(serverRoot)}`
  const pattern = `^/v2/${name.replaceAll('.', '\\.')}`
  // Without a digest of a fixed length, because Caddy would take braces for a placeholder.
  const digest = 'sha(?:256|512):[0-9a-f]+'
  const missing = (code: Parameters<typeof errorBody>[0], message: string): readonly string[] =>
    block('handle', ['header Content-Type application/json', `respond \`${error(code, message)}\` 404`])
  return [
    `# ${name}`,
    ...servedFiles(repository).flatMap((file) => fileText(file, root)),
    `@${id}_blob {`,
    '\tmethod GET HEAD',
    `\tpath_regexp ${id} ${pattern}/blobs/(${digest})$`,
    '}',
    ...block(`handle @${id}_blob`, [
      root,
      '@file file',
      ...block('handle @file', [
        'header Content-Type application/octet-stream',
        `header Docker-Content-Digest {re.${id}.1}`,
        'file_server',
      ]),
      ...missing('BLOB_UNKNOWN', 'the repository has no such blob'),
    ]),
    `@${id}_referrers {`,
    '\tmethod GET HEAD',
    `\tpath_regexp ${pattern}/referrers/${digest}$`,
    '}',
    ...block(`handle @${id}_referrers`, [
      root,
      `header Content-Type ${OCI_INDEX}`,
      '@file file',
      ...block('handle @file', ['file_server']),
      ...block('handle', [`respond \`${EMPTY_LIST}\` 200`]),
    ]),
    `@${id}_manifest {`,
    '\tmethod GET HEAD',
    `\tpath_regexp ${pattern}/manifests/[^/]+$`,
    '}',
    ...block(`handle @${id}_manifest`, missing('MANIFEST_UNKNOWN', 'the repository has no such manifest')),
    '',
  ].join('\n')
}

function fileText({ path, mediaType, digest }: ServedFile, root: string): readonly string[] {
  return block(`handle ${path}`, [
    root,
    `header Content-Type ${quoted(mediaType)}`,
    ...(digest === undefined ? [] : [`header Docker-Content-Digest ${quoted(digest)}`]),
    'file_server',
  ])
}

function block(head: string, lines: readonly string[]): readonly string[] {
  return [`${head} {`, ...lines.map((line) => `\t${line}`), '}']
}

function error(code: Parameters<typeof errorBody>[0], message: string): string {
  return errorBody(code, message).toString('utf8')
}
