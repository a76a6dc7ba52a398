import { Failure } from '../ports/failure.ts'
import { Bucket } from './client/bucket.ts'
import type { BucketProxies } from './client/bucket-requests.ts'
import { MultipartUploads } from './client/multipart.ts'
import { DISTRIBUTION_ROOT } from './layout/distribution.ts'
import type { ObjectStoreOptions } from './options/store-options.ts'

/** The key of an upload that is begun and aborted, so that no object comes from it. */
const PROBE_KEY = `${DISTRIBUTION_ROOT}/leat-doctor`

/** The result of the examination of an object store. */
export interface ObjectStoreExamination {
  readonly name: string
  /** Where the credentials come from; undefined: requests are not signed, or there are none. */
  readonly credentialsFrom: string | undefined
  /** Why it cannot be read; undefined when it can. `code` is that of a `Failure`. */
  readonly readProblem: Problem | undefined
  /** A blob that was found and asked for; undefined when there is none. */
  readonly blob: { readonly key: string; readonly size: number } | undefined
  /** Why nothing can be uploaded; undefined when it can, or when nothing is to be. */
  readonly writeProblem: Problem | undefined
  /** How far the clock of the server is ahead of this node's. */
  readonly aheadMs: number | undefined
}

export interface Problem {
  readonly code: string
  readonly message: string
}

export interface ExamineOptions {
  readonly userAgent: string
  readonly proxies: BucketProxies | undefined
  readonly deadlineMs: number
}

/** Looks at a bucket as the agent uses it: the listing, the head of one blob, and an upload that is aborted at once. */
export async function examineObjectStore(
  options: ObjectStoreOptions,
  { signal, ...parts }: ExamineOptions & { readonly signal: AbortSignal },
): Promise<ObjectStoreExamination> {
  const bucket = new Bucket({ ...parts, bucket: options })
  try {
    const read = await problemOr(() => readOne(bucket, options, { signal }))
    const isFilled = options.layout !== 'oci-registry' && options.fill !== 'none'
    const written =
      isFilled && read.problem === undefined
        ? await problemOr(() => tryUpload(bucket, { signal }))
        : undefined
    return {
      name: bucket.name,
      credentialsFrom: bucket.requests.signer.credentialsFrom,
      readProblem: read.problem,
      blob: read.value?.blob,
      writeProblem: written?.problem,
      aheadMs: read.value?.aheadMs,
    }
  } finally {
    await bucket.close()
  }
}

async function readOne(
  bucket: Bucket,
  { layout }: ObjectStoreOptions,
  { signal }: { signal: AbortSignal },
): Promise<Pick<ObjectStoreExamination, 'blob' | 'aheadMs'>> {
  const folder = layout === 'oci-registry' ? 'blobs/' : `${DISTRIBUTION_ROOT}/blobs/`
  const { objects, serverTime } = await bucket.firstPage(folder, { most: 1, signal })
  const [listed] = objects
  const head = listed && (await bucket.head(listed.key, { signal }))
  return {
    blob: listed && head && { key: listed.key, size: head.size },
    aheadMs: serverTime === undefined ? undefined : serverTime - Date.now(),
  }
}

async function tryUpload(bucket: Bucket, options: { signal: AbortSignal }): Promise<void> {
  const uploads = new MultipartUploads(bucket)
  const id = await uploads.start(PROBE_KEY, options)
  await uploads.abort({ key: PROBE_KEY, id }, options)
}

async function problemOr<Value>(
  work: () => Promise<Value>,
): Promise<{ readonly value?: Value; readonly problem: Problem | undefined }> {
  try {
    return { value: await work(), problem: undefined }
  } catch (error) {
    if (error instanceof Failure) return { problem: { code: error.code, message: error.message } }
    const name = error instanceof Error ? error.name : ''
    if (name !== 'TimeoutError' && name !== 'AbortError') throw error
    return { problem: { code: 'unavailable', message: 'It does not answer in time.' } }
  }
}
