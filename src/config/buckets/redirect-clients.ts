import { parseNetwork } from '../../lib/client-address.ts'
import type { BucketOptions } from '../../object-store/options/options.ts'
import {
  type Format,
  type GivenValue,
  listOf,
  matching,
  path,
  record,
  refuse,
  text,
} from '../values/format.ts'
import { BUCKET_FIELDS, parseBucketUrl, parseServerUrl } from './bucket-fields.ts'
import { urlText } from './url-text.ts'

/** Where some clients of a redirected host are, and the bucket near them. */
export interface RedirectClientSettings {
  readonly networks: readonly string[]
  readonly ranges: readonly { readonly file: string; readonly regions?: readonly string[] }[]
  readonly to: RedirectBucketSettings
}

export interface RedirectBucketSettings {
  /** As it is given. */
  readonly name: string
  readonly bucket: Omit<BucketOptions, 'environment'>
  readonly registry?: string
}

/** What a bucket at an http or https URL has, which is public. */
const OF_PUBLIC = ['caFile', 'acceptInvalidCerts']

export const network = text(
  (given) => parseNetwork(given) && given,
  'a network such as 10.0.0.0/8 or fd00::/8',
)
const rangeFile = record(
  { file: path, regions: listOf(matching(/^[\w.*-]{1,60}$/, 'a region such as eu-west-1 or europe-*')) },
  ['file'],
)
const target = urlText(
  (given) => (parseBucketUrl(given) ?? parseServerUrl(given)) && given,
  's3://bucket, s3://bucket/prefix, or the URL of a public bucket such as https://images-eu.example.dev/',
)
function readRangeFile(item: GivenValue): { readonly file: string; readonly regions?: readonly string[] } {
  const { file, regions } = rangeFile.read(item)
  if (file === undefined) return refuse(item, 'has no file; expected a list of networks')
  return { file, ...(regions === undefined ? {} : { regions }) }
}

const entry = record(
  {
    networks: listOf(network),
    ranges: listOf({ ...rangeFile, read: readRangeFile }),
    to: target,
    ...BUCKET_FIELDS,
  },
  ['to'],
)

function readItem(item: GivenValue): RedirectClientSettings {
  const { networks = [], ranges = [], to, ...fields } = entry.read(item)
  if (to === undefined) return refuse(item, 'has no to; expected a bucket such as s3://bucket-eu')
  if (networks.length + ranges.length === 0) return refuse(item, 'has neither networks nor ranges')
  return Object.freeze({ networks, ranges, to: bucketAt(item, to, fields) })
}

function bucketAt(
  item: GivenValue,
  to: string,
  {
    registry,
    ...fields
  }: Omit<BucketOptions, 'bucket' | 'prefix' | 'environment'> & { readonly registry?: string },
): RedirectBucketSettings {
  const inStore = parseBucketUrl(to)
  if (inStore !== undefined) {
    return { name: to, bucket: { ...inStore, ...fields }, ...(registry === undefined ? {} : { registry }) }
  }
  const wrong = Object.keys({ ...fields, ...(registry === undefined ? {} : { registry }) }).find(
    (name) => !OF_PUBLIC.includes(name),
  )
  if (wrong !== undefined) return refuse(item, `has ${wrong}, which is for s3:// only`)
  return { name: to, bucket: { bucket: '', prefix: '', endpoint: to, credentials: 'none', ...fields } }
}

/** The `clients` of a redirect. */
export const redirectClients: Format<readonly RedirectClientSettings[]> = {
  read: (given) => {
    if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of clients')
    return listOf({ ...entry, read: readItem }).read(given)
  },
  jsonSchema: { type: 'array', items: entry.jsonSchema },
  show: listOf(entry).show,
}
