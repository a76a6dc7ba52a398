export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
/** Withdrawn from the OCI image spec before 1.1, but registries have some. */
export const OCI_ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
export const OCTET_STREAM = 'application/octet-stream'

const SCHEMA1 = new Set([
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
])
const INDEXES = new Set([OCI_INDEX, DOCKER_LIST])
const MANIFESTS = new Set([OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT])

/** What upstream is told: always everything, so that what is stored does not depend on which client asked first. */
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

/** RFC 9110 section 8.3.1, so that it can be sent in a header as it is. */
export function isMediaType(text: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:;[\x20-\x7e]*)?$/.test(text)
}

/** `Application/JSON; charset=utf-8` without its parameters, in lower case. */
export function essence(mediaType: string): string {
  const semicolon = mediaType.indexOf(';')
  return (semicolon < 0 ? mediaType : mediaType.slice(0, semicolon)).trim().toLowerCase()
}
