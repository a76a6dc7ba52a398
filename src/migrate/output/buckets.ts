import type { Draft } from './draft.ts'
import type { ObjectStoreEntry } from './file-settings.ts'

interface Bucket extends Omit<ObjectStoreEntry, 'url' | 'endpoint'> {
  readonly bucket: string
  /** The folder in the bucket. */
  readonly folder?: string | undefined
  /** The host or the URL of a server that is not that of AWS. */
  readonly host?: string | undefined
}

/** Adds a bucket that another tool has filled, which Leat reads as it is. */
export function addBucket(draft: Draft, { bucket, folder = '', host, ...given }: Bucket): void {
  const prefix = folder.replace(/^\/+|\/+$/g, '')
  const endpoint = host === undefined || /^https?:\/\//.test(host) ? host : `https://${host}`
  draft.objectStore({ url: `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`, endpoint, ...given })
  draft.note(
    `The bucket ${bucket} is read as it is: give its credentials to agent serve as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; see docs/object-store.md.`,
  )
}
