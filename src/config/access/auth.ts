import {
  type AccessOptions,
  type RuleOptions,
  SIGNATURE_ALGORITHMS,
  type TokenOptions,
} from '../../access/options/access-options.ts'
import { parseNetwork } from '../../lib/client-address.ts'
import {
  type Format,
  type GivenValue,
  HIDDEN,
  listOf,
  matching,
  oneOf,
  path,
  record,
  refuse,
  text,
} from '../values/format.ts'

const NAMES = /^[a-z0-9._*-]+(?::\d{1,5})?(?:\/[a-z0-9._*-]+)*$/

/** A quotation mark or a backslash would end the text in the header that names it. */
const headerText = matching(
  /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,200}$/,
  'printable ASCII without quotation marks and backslashes',
)
const claim = text((given) => (given.length <= 500 ? given : undefined), 'a text of at most 500 characters')
const token = record(
  {
    realm: text(parseRealm, 'the address where clients get tokens, such as https://login.example.com/token'),
    service: headerText,
    issuer: claim,
    audience: claim,
    jwks: {
      ...text(
        (given) => (/^(?!http:)[^\0]+$/.test(given) ? given : undefined),
        'a path or an https address of a JWKS document',
      ),
      // The query of an address may be a key.
      show: ({ value }) => String(value).replace(/^(https:[^?]*\?).*$/s, `$1${HIDDEN}`),
    },
    jwksCaFile: path,
    key: path,
    algorithms: listOf(oneOf(...SIGNATURE_ALGORITHMS)),
  },
  ['realm', 'service', 'issuer'],
)
const clientCertificates = record({ caFile: path }, ['caFile'])
const rule = record(
  {
    who: listOf(
      text(
        (given) => (given.length <= 255 ? given : undefined),
        'a name, a pattern such as ci-*, anonymous or authenticated',
      ),
    ),
    names: listOf(
      matching(
        NAMES,
        'a repository with * for one part and ** for any, such as team/** or docker.io/library/*',
        255,
      ),
    ),
    actions: listOf(oneOf('pull', 'push', 'delete', 'list')),
    networks: listOf(
      text((given) => parseNetwork(given) && given, 'a network such as 10.0.0.0/8 or fd00::/8'),
    ),
  },
  ['who', 'actions'],
)
const rules: Format<readonly RuleOptions[]> = {
  read: (given) =>
    typeof given.value === 'string'
      ? refuse(given, 'has no value; expected a list of rules')
      : listOf({ ...rule, read: readRule }).read(given),
  jsonSchema: { type: 'array', items: rule.jsonSchema },
  show: listOf(rule).show,
}
const fields = record({
  htpasswd: path,
  token: { ...token, read: readToken },
  clientCertificates: { ...clientCertificates, read: readClientCertificates },
  anonymous: listOf(oneOf('pull', 'list')),
  loopback: oneOf('open', 'login'),
  rules,
})

/** The `auth` setting. */
export const auth: Format<AccessOptions | undefined> = {
  read: (given) => {
    const read = fields.read(given)
    if (read.htpasswd ?? read.token ?? read.clientCertificates) return Object.freeze(read)
    return refuse(given, 'has no way to log in; give htpasswd, token or clientCertificates')
  },
  jsonSchema: fields.jsonSchema,
  show: fields.show,
}

function readToken(item: GivenValue): TokenOptions {
  const given = token.read(item)
  const { realm, service, issuer, audience, algorithms } = given
  if (realm === undefined || service === undefined || issuer === undefined)
    return refuse(item, 'lacks one of realm, service and issuer; give all three')
  if (algorithms?.length === 0) return refuse(item, 'has an empty list of algorithms; leave it out for all')
  return Object.freeze({
    realm,
    service,
    issuer,
    ...(audience === undefined ? {} : { audience }),
    ...(algorithms === undefined ? {} : { algorithms }),
    keys: keysIn(given, item),
  })
}

function keysIn(
  { jwks, jwksCaFile, key }: ReturnType<typeof token.read>,
  item: GivenValue,
): TokenOptions['keys'] {
  const isFetched = jwks?.startsWith('https://') === true
  if (jwksCaFile !== undefined && !isFetched)
    return refuse(item, 'has jwksCaFile, which is for a jwks at an https address only')
  if (key !== undefined && jwks === undefined) return { kind: 'pem', file: key }
  if (jwks === undefined || key !== undefined)
    return refuse(item, 'needs the keys of the service from one place; give one of jwks and key')
  if (!isFetched) return { kind: 'jwks-file', file: jwks }
  return { kind: 'jwks-url', url: jwks, ...(jwksCaFile === undefined ? {} : { caFile: jwksCaFile }) }
}

function readClientCertificates(item: GivenValue): { readonly caFile: string } {
  const { caFile } = clientCertificates.read(item)
  if (caFile === undefined) return refuse(item, 'has no caFile; give the authorities of the certificates')
  return Object.freeze({ caFile })
}

function readRule(item: GivenValue): RuleOptions {
  const { who = [], actions = [], ...rest } = rule.read(item)
  if (who.length === 0) return refuse(item, 'does not say whom it is for; give who, such as [authenticated]')
  if (actions.length === 0)
    return refuse(item, 'allows nothing; give actions out of pull, push, delete, list')
  return Object.freeze({ who, actions, ...rest })
}

function parseRealm(given: string): string | undefined {
  const isPlain = /^https?:\/\/[\x21\x23-\x5b\x5d-\x7e]{1,500}$/.test(given)
  return isPlain && URL.canParse(given) ? given : undefined
}
