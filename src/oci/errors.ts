/**
 * The codes of OCI distribution spec 1.1, "Error Codes", and `RANGE_INVALID`, with which distribution/distribution
 * answers a bad Range.
 */
export type OciErrorCode =
  | 'BLOB_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'PAGINATION_NUMBER_INVALID'
  | 'RANGE_INVALID'
  | 'SIZE_INVALID'
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
