import type { CopyNotified, CopyPulled, CopySchedule } from '../../copies/options/copy-options.ts'
import { parseCron } from '../../lib/time/cron.ts'
import type { BucketOptions } from '../../object-store/options/options.ts'
import { BUCKET_FIELDS, parseBucketUrl, placeOf } from '../buckets/bucket-fields.ts'
import { network } from '../buckets/redirect-clients.ts'
import { urlText } from '../buckets/url-text.ts'
import { price } from '../upstreams/upstream.ts'
import { DURATION_SCHEMA, parseDuration } from '../values/duration.ts'
import {
  type Format,
  type GivenValue,
  listOf,
  matching,
  oneOf,
  path,
  record,
  refuse,
  text,
  textLike,
} from '../values/format.ts'
import { repositoryPattern } from '../values/repository-pattern.ts'
import { image, platforms } from '../values/warm.ts'

/** What agents copy into one bucket. */
export interface CopySettings {
  readonly to: Omit<BucketOptions, 'environment'> & { readonly registry?: string }
  readonly platforms?: readonly string[]
  readonly schedule?: CopySchedule
  readonly notified?: CopyNotified
  readonly pulled?: CopyPulled
  readonly costPerGiB?: number
}

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

const schedule = record(
  {
    images: listOf(image),
    every: durationOf(10 * MINUTE_MS, 'a duration such as 6h, at least 10m'),
    cron: text(
      (given) => (parseCron(given) === undefined ? undefined : given),
      'five fields of crontab such as 30 3 * * 1-5, in UTC',
      textLike(/^ *[0-9*][0-9*,/ -]*$/),
    ),
  },
  ['images'],
)
const notified = record({ names: listOf(repositoryPattern), secretFile: path }, ['names', 'secretFile'])
const pulled = record(
  {
    names: listOf(repositoryPattern),
    times: text(
      (given) => (/^[1-9]\d{0,3}$/.test(given) ? Number(given) : undefined),
      'a number from 1 to 9999',
      { type: ['integer', 'string'], minimum: 1, maximum: 9999 },
    ),
    within: durationOf(MINUTE_MS, 'a duration such as 7d, at least 1m'),
    from: listOf(network),
    zones: listOf(matching(/^[\w.:/-]{1,128}$/, 'a zone such as eu-1')),
    // Nodes say once a day that an image is still pulled.
    dropAfter: durationOf(2 * DAY_MS, 'a duration such as 30d, at least 2d'),
  },
  ['times', 'within'],
)
const entry = record(
  {
    to: urlText(parseBucketUrl, 's3://bucket or s3://bucket/prefix'),
    ...BUCKET_FIELDS,
    sse: oneOf('AES256', 'aws:kms'),
    sseKeyId: text((given) => given, 'the name of a key'),
    platforms,
    schedule: { ...schedule, read: readSchedule },
    notified: { ...notified, read: readNotified },
    pulled: { ...pulled, read: readPulled },
    costPerGiB: price,
  },
  ['to'],
)

function durationOf(leastMs: number, allowed: string): Format<number> {
  return text(
    (given) => {
      const ms = parseDuration(given)
      return ms !== undefined && ms >= leastMs ? ms : undefined
    },
    allowed,
    DURATION_SCHEMA,
  )
}

function readSchedule(given: GivenValue): CopySchedule {
  const { images = [], every, cron } = schedule.read(given)
  if (images.length === 0) return refuse(given, 'has no images; expected some such as ["alpine:3.20"]')
  if ((every === undefined) === (cron === undefined))
    return refuse(given, 'needs either every, such as 6h, or cron, such as "30 3 * * *"')
  return Object.freeze({
    images,
    ...(every === undefined ? {} : { everyMs: every }),
    ...(cron === undefined ? {} : { cron }),
  })
}

function readNotified(given: GivenValue): CopyNotified {
  const { names = [], secretFile } = notified.read(given)
  if (names.length === 0)
    return refuse(
      given,
      'has no names; expected the repositories that are copied, such as ["ghcr.io/acme/**"]',
    )
  if (secretFile === undefined)
    return refuse(given, 'has no secretFile; expected the file of the secret that the registry sends')
  return Object.freeze({ names, secretFile })
}

function readPulled(given: GivenValue): CopyPulled {
  const { times, within, dropAfter, ...rest } = pulled.read(given)
  if (times === undefined || within === undefined)
    return refuse(given, 'needs times and within, such as times: 3 and within: 7d')
  return Object.freeze({
    ...rest,
    times,
    withinMs: within,
    ...(dropAfter === undefined ? {} : { dropAfterMs: dropAfter }),
  })
}

function readItem(item: GivenValue): CopySettings {
  const { to, platforms, schedule, notified, pulled, costPerGiB, ...fields } = entry.read(item)
  if (to === undefined) return refuse(item, 'has no to; expected a bucket such as s3://bucket-eu/prefix')
  if (schedule === undefined && notified === undefined && pulled === undefined)
    return refuse(item, 'needs schedule, notified or pulled, which say what is copied')
  if (fields.sseKeyId !== undefined && fields.sse !== 'aws:kms')
    return refuse(item, 'has sseKeyId without sse: aws:kms, to which it belongs')
  return Object.freeze({
    to: { ...to, ...fields },
    ...(platforms === undefined ? {} : { platforms }),
    ...(schedule === undefined ? {} : { schedule }),
    ...(notified === undefined ? {} : { notified }),
    ...(pulled === undefined ? {} : { pulled }),
    ...(costPerGiB === undefined ? {} : { costPerGiB }),
  })
}

/** The `copies` setting. */
export const copies: Format<readonly CopySettings[]> = {
  read: (given) => {
    if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of copies')
    const entries = listOf({ ...entry, read: readItem }).read(given)
    const names = entries.map(({ to }) => placeOf(to))
    const twice = entries.find((_, at) => names.indexOf(names[at] ?? '') !== at)?.to
    return twice === undefined
      ? entries
      : refuse(given, `has two entries for s3://${twice.bucket}; keep one, with all that is copied into it`)
  },
  jsonSchema: { type: 'array', items: entry.jsonSchema },
  show: listOf(entry).show,
}
