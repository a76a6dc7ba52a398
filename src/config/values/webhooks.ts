import { type Format, type GivenValue, HIDDEN, listOf, oneOf, path, record, refuse } from './format.ts'
import { repositoryPattern } from './repository-pattern.ts'

/** A URL that is told what happens to images. */
export interface WebhookSettings {
  readonly url: string
  readonly events: readonly WebhookEvent[] | undefined
  readonly names: readonly string[] | undefined
  readonly format: 'cloudevents' | 'distribution'
  readonly secretFile: string | undefined
  readonly headersFile: string | undefined
  readonly caFile: string | undefined
}

type WebhookEvent = 'pull' | 'push' | 'delete' | 'first-use'

const entry = record(
  {
    // An error does not repeat the URL: its path may be a secret.
    url: {
      read: readUrl,
      jsonSchema: { type: 'string', description: 'Expected: an http or https URL.' },
      show: (given) => `${new URL(readUrl(given)).origin}/${HIDDEN}`,
    },
    events: listOf(oneOf('pull', 'push', 'delete', 'first-use')),
    names: listOf(repositoryPattern),
    format: oneOf('cloudevents', 'distribution'),
    secretFile: path,
    headersFile: path,
    caFile: path,
  },
  ['url'],
)

function webhookUrl(given: string): string | undefined {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined
  return url.username === '' && url.password === '' && url.hash === '' ? url.href : undefined
}

function readUrl(given: GivenValue): string {
  const url = typeof given.value === 'string' ? webhookUrl(given.value) : undefined
  return (
    url ??
    refuse(
      given,
      'is no URL such as https://hooks.example.com/leat; credentials belong into headersFile, not into the URL',
    )
  )
}

function readItem(item: GivenValue): WebhookSettings {
  const given = entry.read(item)
  const { url, events, names, format = 'cloudevents', secretFile, headersFile, caFile } = given
  if (url === undefined)
    return refuse(item, 'has no url; expected one such as https://hooks.example.com/leat')
  if (events?.length === 0) return refuse(item, 'has an empty list of events; name some or leave events out')
  if (format === 'distribution' && events?.includes('first-use') === true) {
    return refuse(item, 'wants first-use, which the format distribution does not have; use cloudevents')
  }
  return Object.freeze({ url, events, names, format, secretFile, headersFile, caFile })
}

/** The `webhooks` setting. */
export const webhooks: Format<readonly WebhookSettings[]> = {
  read: (given) => {
    if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of webhooks')
    return listOf({ ...entry, read: readItem }).read(given)
  },
  jsonSchema: { type: 'array', items: entry.jsonSchema },
  show: listOf(entry).show,
}
