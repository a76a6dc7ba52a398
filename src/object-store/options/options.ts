/** Where the credentials come from. `auto`: the first of the others that has some. `none`: requests are not signed. */
export type CredentialKind = 'auto' | 'env' | 'file' | 'web-identity' | 'instance' | 'none'

/** How a bucket is reached. */
export interface BucketOptions {
  /** Empty: the endpoint is the bucket itself, as for one that a server of files offers. */
  readonly bucket: string
  /** What all keys begin with, without slashes around it; empty for none. */
  readonly prefix: string
  /** The URL of the server; default: that of AWS in the region. */
  readonly endpoint?: string
  /** Default: `AWS_REGION`, or else us-east-1. */
  readonly region?: string
  /** Whether the bucket is a part of the path rather than of the host; default: with an endpoint. */
  readonly pathStyle?: boolean
  readonly credentials?: CredentialKind
  /** The file of the kind `file`; default: `AWS_SHARED_CREDENTIALS_FILE`, or else ~/.aws/credentials. */
  readonly credentialsFile?: string
  /** The section of that file; default: `AWS_PROFILE`, or else `default`. */
  readonly profile?: string
  /** The variables of the environment that say where credentials are. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** An authority for the server's certificate, besides those of the system. */
  readonly caFile?: string
  readonly acceptInvalidCerts?: boolean
  /** How the server encrypts objects that are written. */
  readonly sse?: 'AES256' | 'aws:kms'
  /** The key for `aws:kms`. */
  readonly sseKeyId?: string
}

const DEFAULT_REGION = 'us-east-1'

export function regionOf({ region, environment = {} }: BucketOptions): string {
  return region ?? environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION'] ?? DEFAULT_REGION
}

/** Names the bucket for people, as in `s3://bucket/prefix`. */
export function bucketText({
  bucket,
  prefix,
  endpoint = '',
}: Pick<BucketOptions, 'bucket' | 'prefix' | 'endpoint'>): string {
  if (bucket === '') return endpoint
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`
}

/** The URL of the bucket itself, with a slash at its end. */
export function bucketUrl(options: BucketOptions): URL {
  const { bucket, endpoint } = options
  const base = new URL(endpoint ?? `https://s3.${regionOf(options)}.amazonaws.com`)
  const path = base.pathname.replace(/\/$/, '')
  if (bucket === '') return new URL(`${path}/`, base)
  // A certificate for *.s3.amazonaws.com is not valid for a bucket with a dot in its name.
  const isInPath = options.pathStyle ?? (endpoint !== undefined || bucket.includes('.'))
  if (isInPath) return new URL(`${path}/${bucket}/`, base)
  base.hostname = `${bucket}.${base.hostname}`
  base.pathname = `${path}/`
  return base
}
