import { isIPv4, isIPv6 } from 'node:net'
import { type Format, type GivenValue, listOf, oneOf, path, record, refuse, text } from './format.ts'

/** Who may use the registry API. */
export interface AuthSettings {
  readonly htpasswd: string | undefined
  readonly token: TokenSettings | undefined
  readonly clientCertificates: { readonly caFile: string } | undefined
  readonly anonymous: readonly ('pull' | 'list')[]
  readonly loopback: 'open' | 'login'
  /** Undefined: everybody who has logged in may do everything. */
  readonly rules: readonly AccessRuleSettings[] | undefined
}

/** The service whose tokens are accepted. */
export interface TokenSettings {
  readonly realm: string
  readonly service: string
  readonly issuer: string
  readonly audience: string | undefined
  readonly keys:
    | { readonly kind: 'pem' | 'jwks-file'; readonly file: string }
    | { readonly kind: 'jwks-url'; readonly url: string; readonly caFile: string | undefined }
  readonly algorithms: readonly Algorithm[] | undefined
}

export interface AccessRuleSettings {
  readonly who: readonly string[]
  readonly names: readonly string[] | undefined
  readonly actions: readonly ('pull' | 'push' | 'delete' | 'list')[]
  readonly networks: readonly string[] | undefined
}

/** The algorithms with a public key. With a shared secret the agent could issue tokens itself. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const
type Algorithm = (typeof ALGORITHMS)[number]

const NAMES = /^[a-z0-9._*-]+(?::\d{1,5})?(?:\/[a-z0-9._*-]+)*$/

/** A quotation mark or a backslash would end the text in the header that names it. */
const headerText = text(
  (given) => (/^[\x20\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(given) ? given : undefined),
  'printable ASCII without quotation marks and backslashes',
)
const claimText = text((given) => (given.length <= 500 ? given : undefined), 'a text')
const who = text(
  (given) => (given.length <= 255 ? given : undefined),
  'a name, a pattern such as ci-*, anonymous or authenticated',
)

const token = record(
  {
    realm: text(parseRealm, 'the address where clients get tokens, such as https://login.example.com/token'),
    service: headerText,
    issuer: claimText,
    audience: claimText,
    jwks: text(
      (given) => (/^(?!http:)[^\0]+$/.test(given) ? given : undefined),
      'a path or an https address of a JWKS document',
    ),
    jwksCaFile: path,
    key: path,
    algorithms: listOf(oneOf(...ALGORITHMS)),
  },
  ['realm', 'service', 'issuer'],
)

const certificates = record({ caFile: path }, ['caFile'])

const rule = record(
  {
    who: listOf(who),
    names: listOf(
      text(
        (given) => (given.length <= 255 && NAMES.test(given) ? given : undefined),
        'a repository with * for one part and ** for any, such as team/** or docker.io/library/*',
      ),
    ),
    actions: listOf(oneOf('pull', 'push', 'delete', 'list')),
    networks: listOf(text(parseNetwork, 'a network such as 10.0.0.0/8 or fd00::/8')),
  },
  ['who', 'actions'],
)

const auth = record({
  htpasswd: path,
  token,
  clientCertificates: certificates,
  anonymous: listOf(oneOf('pull', 'list')),
  loopback: oneOf('open', 'login'),
  rules: { ...listOf(rule), jsonSchema: { type: 'array', items: rule.jsonSchema } },
})

/** The `auth` setting. */
export const authSetting: Format<AuthSettings | undefined> = { read: readAuth, jsonSchema: auth.jsonSchema }

function readAuth(given: GivenValue): AuthSettings {
  const { htpasswd, token, clientCertificates, anonymous = [], loopback = 'open' } = auth.read(given)
  const fields = given.value as ReadonlyMap<string, { readonly given: GivenValue }>
  const at = (key: string): GivenValue => fields.get(key)?.given ?? given
  if (htpasswd === undefined && token === undefined && clientCertificates === undefined)
    return refuse(given, 'has no way to log in; give htpasswd, token or clientCertificates')
  if (clientCertificates !== undefined && clientCertificates.caFile === undefined)
    return refuse(at('clientCertificates'), 'has no caFile; give the authorities of the certificates')
  return Object.freeze({
    htpasswd,
    token: token === undefined ? undefined : readToken(token, at('token')),
    clientCertificates: clientCertificates as { readonly caFile: string } | undefined,
    anonymous,
    loopback,
    rules: fields.has('rules') ? readRules(at('rules')) : undefined,
  })
}

function readToken(given: ReturnType<typeof token.read>, at: GivenValue): TokenSettings {
  const { realm, service, issuer, audience, jwks, jwksCaFile, key, algorithms } = given
  if (realm === undefined || service === undefined || issuer === undefined)
    return refuse(at, 'lacks one of realm, service and issuer; give all three')
  const isUrl = jwks?.startsWith('https://') === true
  if (jwksCaFile !== undefined && !isUrl)
    return refuse(at, 'has jwksCaFile, which is for an https address only')
  if (algorithms?.length === 0) return refuse(at, 'has an empty list of algorithms; leave it out for all')
  const rest = { realm, service, issuer, audience, algorithms }
  if (key !== undefined && jwks === undefined) return { ...rest, keys: { kind: 'pem', file: key } }
  if (jwks === undefined || key !== undefined)
    return refuse(at, 'needs the keys of the service; give one of jwks and key')
  return isUrl
    ? { ...rest, keys: { kind: 'jwks-url', url: jwks, caFile: jwksCaFile } }
    : { ...rest, keys: { kind: 'jwks-file', file: jwks } }
}

function readRules(given: GivenValue): readonly AccessRuleSettings[] {
  if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of rules')
  const readRule = (item: GivenValue): AccessRuleSettings => {
    const { who = [], names, actions = [], networks } = rule.read(item)
    if (who.length === 0) return refuse(item, 'says of nobody that it is meant; give who')
    if (actions.length === 0) return refuse(item, 'allows nothing; give actions: pull, push, delete, list')
    return Object.freeze({ who, names, actions, networks })
  }
  return listOf({ read: readRule, jsonSchema: rule.jsonSchema }).read(given)
}

function parseRealm(given: string): string | undefined {
  const isPlain = /^https?:\/\/[\x21\x23-\x5b\x5d-\x7e]{1,500}$/.test(given)
  return isPlain && URL.canParse(given) ? given : undefined
}

function parseNetwork(given: string): string | undefined {
  const [address = '', bits, ...rest] = given.split('/')
  const most = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : -1
  if (rest.length > 0 || most < 0) return undefined
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most) ? given : undefined
}
