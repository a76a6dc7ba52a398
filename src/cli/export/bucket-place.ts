import { loadSetting } from '../../config/load.ts'
import type { BucketPlace } from '../../object-store/copy.ts'
import type { BucketOptions } from '../../object-store/options/options.ts'
import { type Invocation, singleValue, type Terminal, usageError } from '../context/command.ts'
import { givenSettings } from '../context/settings.ts'

const PLACE = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w./-]+?))?\/*$/

/**
 * The bucket of `--to`. How it is reached is said by `--endpoint` and `--region`, or else by `objectStore` in the settings,
 * whose bucket may be another one.
 */
export async function bucketPlace(given: Invocation, terminal: Terminal): Promise<BucketPlace> {
  const to = singleValue(given, 'to')
  if (to === undefined) throw usageError('copy needs --to with s3://BUCKET or s3://BUCKET/PREFIX')
  const [, bucket, prefix = ''] = PLACE.exec(to) ?? []
  const isPlain = prefix.split('/').every((part) => part !== '.' && part !== '..')
  if (bucket === undefined || !isPlain)
    throw usageError(`--to is ${JSON.stringify(to)}; expected s3://BUCKET or s3://BUCKET/PREFIX`)
  const settings = await loadSetting('objectStore', givenSettings(given, terminal))
  const endpoint = endpointOf(singleValue(given, 'endpoint')) ?? settings?.endpoint
  const region = singleValue(given, 'region') ?? settings?.region
  // The names in the bucket of the settings are those that the agent looks for there.
  const isOwn =
    settings?.bucket === bucket &&
    settings.prefix === prefix &&
    serverOf(settings.endpoint) === serverOf(endpoint)
  return {
    ...reached(settings),
    ...(isOwn && settings.registry !== undefined ? { registry: settings.registry } : {}),
    bucket,
    prefix,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    environment: terminal.env,
  }
}

function endpointOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isServer = url !== undefined && /^https?:$/.test(url.protocol) && url.username + url.password === ''
  // The text is not repeated, because a password may be in it.
  if (!isServer) throw usageError('--endpoint has a wrong value; expected a URL such as https://s3.corp:9000')
  return url.href
}

/** One text for each way to write the same URL. */
function serverOf(endpoint: string | undefined): string | undefined {
  return endpoint === undefined ? undefined : new URL(endpoint).href.replace(/\/$/, '')
}

/** What of the settings says how a server is reached. */
function reached(settings: Partial<BucketOptions> = {}): Partial<BucketOptions> {
  const { pathStyle, credentials, credentialsFile, profile, caFile, acceptInvalidCerts, sse, sseKeyId } =
    settings
  const given = {
    pathStyle,
    credentials,
    credentialsFile,
    profile,
    caFile,
    acceptInvalidCerts,
    sse,
    sseKeyId,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}
