import { Failure } from '../../ports/failure.ts'
import { elementsOf, textOf } from '../format/xml.ts'

export interface ListedObject {
  /** Below the prefix of the settings. */
  readonly key: string
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number
}

export interface Listing {
  readonly objects: readonly ListedObject[]
  /** The last parts of the common prefixes, without the slash at the end. */
  readonly folders: readonly string[]
  /** Where the next page begins; undefined: this is the last one. */
  readonly next: string | undefined
}

/**
 * Reads one page of a listing (ListObjectsV2). `below` is what all keys begin with. Throws a `Failure` of the source unless the
 * answer is a whole page: an object that is missing in a listing would count as one that is not in the bucket.
 */
export function parseListing(
  xml: string,
  { below, source }: { readonly below: string; readonly source: string },
): Listing {
  if (elementsOf(xml, 'ListBucketResult').length === 0)
    throw new Failure('unavailable', `${source} has not answered with a list of objects.`, { source })
  const objects = elementsOf(xml, 'Contents').flatMap((element): ListedObject[] => {
    const key = textOf(element, 'Key')
    if (key === undefined || !key.startsWith(below)) return []
    const modifiedAt = Date.parse(textOf(element, 'LastModified') ?? '')
    const size = Number(textOf(element, 'Size') ?? 0)
    return [{ key: key.slice(below.length), size, modifiedAt: Number.isNaN(modifiedAt) ? 0 : modifiedAt }]
  })
  const folders = elementsOf(xml, 'CommonPrefixes').flatMap((element) => {
    const name = textOf(element, 'Prefix')?.split('/').at(-2)
    return name === undefined ? [] : [name]
  })
  if (textOf(xml, 'IsTruncated') !== 'true') return { objects, folders, next: undefined }
  const next = textOf(xml, 'NextContinuationToken')
  if (next === undefined || next === '')
    throw new Failure('unavailable', `${source} does not say how its list of objects goes on.`, { source })
  return { objects, folders, next }
}
