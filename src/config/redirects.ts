import { parseRegistryUrl } from '../oci/names/registry-url.ts'
import { network, type RedirectClientSettings, redirectClients } from './buckets/redirect-clients.ts'
import { urlText } from './buckets/url-text.ts'
import { parseHostName } from './values/address.ts'
import {
  type Format,
  type GivenValue,
  listOf,
  oneOf,
  record,
  refuse,
  text,
  textLike,
} from './values/format.ts'

/** A domain that stands before a registry. */
export interface RedirectSettings {
  /** In lower case; `*` for every host that no other entry has. */
  readonly host: string
  /** An https URL with `/v2/` and a final slash. */
  readonly to: string
  readonly mode: 'redirect' | 'serve'
  readonly clients: readonly RedirectClientSettings[]
  readonly trustedProxies: readonly string[]
}

const EXAMPLE = 'https://us-docker.pkg.dev/v2/project/repo/'
export const registryUrl = urlText(
  (given) => (parseRegistryUrl(given) === undefined ? undefined : given),
  `an https URL with /v2/ and a final slash, such as ${EXAMPLE}`,
  textLike(/^[Hh][Tt][Tt][Pp][Ss]:.*\/$/),
)
const host = text(
  (given) => (given === '*' ? given : parseHostName(given)?.toLowerCase()),
  'a host without a port, such as images.example.dev, or * for every host',
  textLike(/^(?:\*|[A-Za-z0-9.-]+|[0-9A-Fa-f:.]+)$/),
)
const entry = record(
  {
    host,
    to: registryUrl,
    mode: oneOf('redirect', 'serve'),
    clients: redirectClients,
    trustedProxies: listOf(network),
  },
  ['host', 'to'],
)

function readItem(item: GivenValue): RedirectSettings {
  const { host, to, mode = 'redirect', clients = [], trustedProxies = [] } = entry.read(item)
  if (host === undefined) return refuse(item, 'has no host; expected one such as images.example.dev')
  if (to === undefined) return refuse(item, `has no to; expected a registry such as ${EXAMPLE}`)
  return Object.freeze({ host, to, mode, clients, trustedProxies })
}

/** The `redirects` setting. */
export const redirects: Format<readonly RedirectSettings[]> = {
  read: (given) => {
    if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of redirects')
    const entries = listOf({ ...entry, read: readItem }).read(given)
    const hosts = entries.map(({ host }) => host)
    const twice = hosts.find((host, at) => hosts.indexOf(host) !== at)
    return twice === undefined ? entries : refuse(given, `has two entries for the host ${twice}; keep one`)
  },
  jsonSchema: { type: 'array', items: entry.jsonSchema },
  show: listOf(entry).show,
}
