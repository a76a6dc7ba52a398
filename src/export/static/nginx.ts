import { errorBody } from '../../oci/errors.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import { quoted, type ServedFile, type ServerSyntax, servedFiles } from './server-config.ts'
import type { TreeRepository } from './tree.ts'

const EMPTY_LIST = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] })
const DIGEST = '(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})'

/** For a `server` block of nginx 1.18 or newer, into which the file is included. */
export const NGINX: ServerSyntax = {
  comment:
    '# Serves a folder that agent export has written as a registry. To be included in a server block of nginx.',
  constants: () => `location = /v2 {
  absolute_redirect off;
  return 301 /v2/;
}
location = /v2/ {
  default_type application/json;
  add_header Docker-Distribution-Api-Version registry/2.0 always;
  return 200 '{}';
}
location /v2/ {
  default_type application/json;
  if ($request_method !~ "^(?:GET|HEAD)$") {
    return 405 '${error('UNSUPPORTED', 'this registry is read-only')}';
  }
  return 404 '${error('NAME_UNKNOWN', 'this registry has no such repository')}';
}
location @leat_no_manifest {
  default_type application/json;
  return 404 '${error('MANIFEST_UNKNOWN', 'the repository has no such manifest')}';
}
location @leat_no_blob {
  default_type application/json;
  return 404 '${error('BLOB_UNKNOWN', 'the repository has no such blob')}';
}
location @leat_no_referrers {
  default_type ${OCI_INDEX};
  return 200 '${EMPTY_LIST}';
}
location @leat_read_only {
  default_type application/json;
  return 405 '${error('UNSUPPORTED', 'this registry is read-only')}';
}
`,
  repository: (repository, serverRoot) => repositoryText(repository, serverRoot),
}

function repositoryText(repository: TreeRepository, serverRoot: string): string {
  const { name } = repository
  const pattern = `^/v2/${name.replaceAll('.', '\\.')}`
  const common = ['types { }', 'gzip off;', `root ${quoted(serverRoot)};`, 'error_page 405 @leat_read_only;']
  return [
    `# ${name}`,
    ...servedFiles(repository).map((file) => fileText(file, common)),
    block(`location ~ "${pattern}/blobs/(${DIGEST})$"`, [
      ...common,
      'default_type application/octet-stream;',
      'add_header Docker-Content-Digest $1;',
      'add_header X-Content-Type-Options nosniff;',
      'error_page 404 @leat_no_blob;',
      'try_files $uri =404;',
    ]),
    block(`location ~ "${pattern}/referrers/${DIGEST}$"`, [
      ...common,
      `default_type ${OCI_INDEX};`,
      'error_page 404 =200 @leat_no_referrers;',
      'try_files $uri =404;',
    ]),
    block(`location ~ "${pattern}/manifests/[^/]+$"`, ['error_page 404 @leat_no_manifest;', 'return 404;']),
    '',
  ].join('\n')
}

function fileText({ path, mediaType, digest }: ServedFile, common: readonly string[]): string {
  return block(`location = ${path}`, [
    ...common,
    `default_type ${quoted(mediaType)};`,
    ...(digest === undefined ? [] : [`add_header Docker-Content-Digest ${quoted(digest)};`]),
    'error_page 404 @leat_no_manifest;',
    'try_files $uri =404;',
  ])
}

function block(head: string, lines: readonly string[]): string {
  return `${head} {\n${lines.map((line) => `  ${line}\n`).join('')}}`
}

function error(code: Parameters<typeof errorBody>[0], message: string): string {
  return errorBody(code, message).toString('utf8')
}
