import type { Objects, PendingUpload } from './objects.ts'

/** The answer to ListObjectsV2. */
export function answerList(objects: Objects, query: URLSearchParams, pageSize: number): string {
  const prefix = query.get('prefix') ?? ''
  const delimiter = query.get('delimiter')
  const after = query.get('continuation-token') ?? ''
  const entries = new Map<string, string>()
  for (const key of objects.keys()) {
    if (!key.startsWith(prefix)) continue
    const object = objects.get(key)
    const cut = delimiter === null ? -1 : key.indexOf(delimiter, prefix.length)
    const name = cut < 0 ? key : key.slice(0, cut + 1)
    if (name <= after || object === undefined) continue
    const text =
      cut < 0
        ? `<Contents><Key>${key}</Key><Size>${object.bytes.length}</Size><LastModified>${time(object.modifiedAt)}</LastModified></Contents>`
        : `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`
    entries.set(name, text)
  }
  const page = [...entries].slice(0, pageSize)
  const isTruncated = entries.size > page.length
  const token = isTruncated ? `<NextContinuationToken>${page.at(-1)?.[0]}</NextContinuationToken>` : ''
  const texts = page.map(([, text]) => text).join('')
  return `<ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${token}${texts}</ListBucketResult>`
}

export function answerUploads(uploads: readonly PendingUpload[], query: URLSearchParams): string {
  const texts = uploads
    .filter(({ key }) => key.startsWith(query.get('prefix') ?? ''))
    .map(
      ({ key, id, startedAt }) =>
        `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${time(startedAt)}</Initiated></Upload>`,
    )
  return `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${texts.join('')}</ListMultipartUploadsResult>`
}

export function answerParts({ parts }: PendingUpload): string {
  const texts = [...parts].map(
    ([number, { bytes, etag }]) =>
      `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll('"', '&quot;')}</ETag><Size>${bytes.length}</Size></Part>`,
  )
  return `<ListPartsResult><IsTruncated>false</IsTruncated>${texts.join('')}</ListPartsResult>`
}

function time(ms: number): string {
  return new Date(ms).toISOString()
}
