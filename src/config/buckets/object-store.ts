import type { ObjectStoreOptions } from '../../object-store/options/store-options.ts'
import { expiryRules } from '../rules/expiry-rules.ts'
import { countTo } from '../values/count.ts'
import { DURATION_SCHEMA, parseDuration } from '../values/duration.ts'
import {
  type Format,
  type GivenValue,
  listOf,
  oneOf,
  record,
  refuse,
  text,
  yesOrNo,
} from '../values/format.ts'
import { repositoryPattern } from '../values/repository-pattern.ts'
import { parseSize, SIZE_SCHEMA } from '../values/size.ts'
import { BUCKET_FIELDS, parseBucketUrl } from './bucket-fields.ts'
import { urlText } from './url-text.ts'

/** A bucket that is asked before upstream. */
export type ObjectStoreSettings = Omit<ObjectStoreOptions, 'environment'>

const LEAST_RATE = 64 * 1024
/** Agents write a link again that is nearly a day old. */
const LEAST_GRACE_MS = 2 * 24 * 60 * 60 * 1000
const MOST_RANGES = 4
const MOST_UPLOADS = 8

const entry = record(
  {
    url: urlText(parseBucketUrl, 's3://bucket or s3://bucket/prefix'),
    ...BUCKET_FIELDS,
    sse: oneOf('AES256', 'aws:kms'),
    sseKeyId: text((given) => given, 'the name of a key'),
    layout: oneOf('distribution', 'oci-registry'),
    hosted: yesOrNo,
    fill: oneOf('all', 'pinned', 'none'),
    fillNames: listOf(repositoryPattern),
    fillAfterPulls: countTo(99),
    uploadConcurrency: countTo(MOST_UPLOADS),
    uploadRate: text(
      (given) => {
        const bytes = parseSize(given)
        return bytes !== undefined && bytes >= LEAST_RATE ? bytes : undefined
      },
      'bytes per second such as 50MiB, at least 64KiB',
      SIZE_SCHEMA,
    ),
    readRanges: countTo(MOST_RANGES),
    expire: expiryRules,
    expireGrace: text(
      (given) => {
        const ms = parseDuration(given)
        return ms !== undefined && ms >= LEAST_GRACE_MS ? ms : undefined
      },
      'a duration such as 7d, at least 2d',
      DURATION_SCHEMA,
    ),
  },
  ['url'],
)

/** The `objectStore` setting. */
export const objectStore: Format<ObjectStoreSettings> = {
  read: (given: GivenValue) => {
    const { url, expireGrace, ...rest } = entry.read(given)
    if (url === undefined) return refuse(given, 'has no url; expected one such as s3://bucket/prefix')
    if (rest.sseKeyId !== undefined && rest.sse !== 'aws:kms') {
      return refuse(given, 'has sseKeyId without sse: aws:kms, to which it belongs')
    }
    if (rest.layout === 'oci-registry' && (rest.fill ?? 'none') !== 'none') {
      return refuse(given, 'has fill for the layout oci-registry, which is only read')
    }
    if (rest.layout === 'oci-registry' && rest.hosted === true) {
      return refuse(given, 'has hosted: true for the layout oci-registry, which is only read')
    }
    return Object.freeze({
      ...url,
      ...rest,
      ...(expireGrace === undefined ? {} : { expireGraceMs: expireGrace }),
    })
  },
  jsonSchema: entry.jsonSchema,
  show: entry.show,
}
