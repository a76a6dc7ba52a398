/**
 * The codes of OCI distribution spec 1.1, "Error Codes", and `RANGE_INVALID`, with which distribution/distribution
 * answers a bad Range.
 */
export type OciErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'PAGINATION_NUMBER_INVALID'
  | 'RANGE_INVALID'
  | 'SIZE_INVALID'
  | 'UNAUTHORIZED'
  | 'UNAVAILABLE'
  | 'UNSUPPORTED'

export function errorBody(
  code: OciErrorCode,
  message: string,
  detail?: Readonly<Record<string, unknown>>,
): Buffer {
  return Buffer.from(
    JSON.stringify({ errors: [detail === undefined ? { code, message } : { code, message, detail }] }),
  )
}
