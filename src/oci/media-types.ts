export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
/** OCI image spec 1.1 has withdrawn this type, but registries still have such manifests. */
export const OCI_ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
export const OCTET_STREAM = 'application/octet-stream'

const SCHEMA1 = new Set([
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
])
const INDEXES = new Set([OCI_INDEX, DOCKER_LIST])
const MANIFESTS = new Set([OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT])

/**
 * The Accept header of every request to upstream. It is always the same, so that the stored content does not depend on
 * the client that was first.
 */
export const ACCEPT_MANIFESTS: string = [
  OCI_INDEX,
  OCI_MANIFEST,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  OCI_ARTIFACT,
  '*/*',
].join(', ')

export function isIndexType(mediaType: string): boolean {
  return INDEXES.has(mediaType)
}

export function isManifestType(mediaType: string): boolean {
  return MANIFESTS.has(mediaType) || INDEXES.has(mediaType)
}

export function isSchema1Type(mediaType: string): boolean {
  return SCHEMA1.has(mediaType)
}

/** Whether a text is a media type by RFC 9110 section 8.3.1, and so may be sent in a header. */
export function isMediaType(text: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:;[\x20-\x7e]*)?$/.test(text)
}

/** Gives a media type without its parameters, in lower case: `Application/JSON; charset=utf-8` becomes `application/json`. */
export function essence(mediaType: string): string {
  const semicolon = mediaType.indexOf(';')
  return (semicolon < 0 ? mediaType : mediaType.slice(0, semicolon)).trim().toLowerCase()
}
