import { Failure } from '../../ports/failure.ts'

/** Always the full list, so that upstream answers the same whoever asks (and `*` last, for what comes after us). */
export const MANIFEST_ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  '*/*',
].join(', ')

const SHAPE = /^[A-Za-z0-9!#$&^_.+-]{1,127}\/[A-Za-z0-9!#$&^_.+-]{1,127}$/

/** A content type without its parameters; undefined when it is none. */
export function parseMediaType(header: string | undefined): string | undefined {
  const bare = header?.split(';', 1)[0]?.trim() ?? ''
  return SHAPE.test(bare) ? bare : undefined
}

/** Images of Docker before 1.10: their digest is not that of their bytes, so nobody could verify them. */
export function refuseSchema1(mediaType: string | undefined, source: string): void {
  if (mediaType?.startsWith('application/vnd.docker.distribution.manifest.v1+') !== true) return
  throw new Failure('unsupported', `${source} has this image only as schema 1, which nobody can verify`, {
    source,
  })
}
