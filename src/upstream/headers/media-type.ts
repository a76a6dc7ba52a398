import { Failure } from '../../ports/failure.ts'

/** The full list for every request, so that upstream's answer does not depend on the client; `*` allows future types. */
export const MANIFEST_ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  '*/*',
].join(', ')

const MEDIA_TYPE = /^[A-Za-z0-9!#$&^_.+-]{1,127}\/[A-Za-z0-9!#$&^_.+-]{1,127}$/

/** A content type without its parameters; undefined when the header has no valid one. */
export function parseMediaType(header: string | undefined): string | undefined {
  const bare = header?.split(';', 1)[0]?.trim() ?? ''
  return MEDIA_TYPE.test(bare) ? bare : undefined
}

/** The digest of a schema 1 manifest (Docker before 1.10) is not the digest of its bytes, so it cannot be verified. */
export function refuseSchema1(mediaType: string | undefined, source: string): void {
  if (mediaType?.startsWith('application/vnd.docker.distribution.manifest.v1+') !== true) return
  throw new Failure(
    'unsupported',
    `${source} has this image only as a schema 1 manifest, which cannot be verified`,
    {
      source,
    },
  )
}
