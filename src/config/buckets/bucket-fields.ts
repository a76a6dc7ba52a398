import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import { HOST_SCHEMA } from '../values/address.ts'
import { matching, oneOf, path, text, textLike, yesOrNo } from '../values/format.ts'
import { urlText } from './url-text.ts'

const BUCKET_URL = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w./-]*))?$/

/** Reads `s3://bucket` or `s3://bucket/prefix`. */
export function parseBucketUrl(
  given: string,
): { readonly bucket: string; readonly prefix: string } | undefined {
  const [, bucket, path = ''] = BUCKET_URL.exec(given) ?? []
  const prefix = path.replace(/\/+$/, '')
  const isPlain =
    prefix === '' || prefix.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  return bucket !== undefined && isPlain ? { bucket, prefix } : undefined
}

/** Reads an http or https URL without credentials, query and fragment. */
export function parseServerUrl(given: string): string | undefined {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined
  return url.username === '' && url.password === '' && url.search === '' && url.hash === ''
    ? url.href
    : undefined
}

/** How a bucket is reached. */
export const BUCKET_FIELDS = {
  endpoint: urlText(
    parseServerUrl,
    'a URL such as https://s3.example:9000, without credentials',
    textLike(/^[Hh][Tt][Tt][Pp][Ss]?:/),
  ),
  region: matching(/^[a-z0-9-]{1,40}$/, 'a region such as eu-central-1'),
  pathStyle: yesOrNo,
  credentials: oneOf('auto', 'env', 'file', 'web-identity', 'instance', 'none'),
  credentialsFile: path,
  profile: text((given) => given, 'the name of a profile'),
  caFile: path,
  acceptInvalidCerts: yesOrNo,
  registry: text(parseRegistryHost, 'a registry such as docker.io or localhost:5000', HOST_SCHEMA),
}

/** Names a place, so that two of the settings are compared. */
export function placeOf({
  endpoint = '',
  bucket,
  prefix,
}: {
  readonly endpoint?: string
  readonly bucket: string
  readonly prefix: string
}): string {
  return `${endpoint} ${bucket}/${prefix}`
}
