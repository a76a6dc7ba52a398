import { createPublicKey, X509Certificate } from 'node:crypto'
import { type CryptoKey, createLocalJWKSet, errors, type JSONWebKeySet, type JWTHeaderParameters } from 'jose'
import * as v from 'valibot'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { FileProblem } from '../../lib/watched-file.ts'
import type { Login } from '../logins/login.ts'

const MOST_KEYS = 64
const MOST_REMEMBERED = 1024
const LEAST_RSA_BITS = 2048
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g

const KeySetText = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    keys: v.pipe(v.array(v.looseObject({ kty: v.string() })), v.minLength(1), v.maxLength(MOST_KEYS)),
  }),
)

/** A token that was verified with the keys of the set. */
export interface RememberedToken {
  readonly login: Login
  readonly until: number
}

/** The keys of a token service at one time, and the tokens that were verified with them. */
export class KeySet {
  readonly remembered = new BoundedMap<string, RememberedToken>(MOST_REMEMBERED)
  readonly #find: ReturnType<typeof createLocalJWKSet>
  readonly #hasNames: boolean

  /** Without `hasNames` a token may name its key in any way. */
  constructor(keys: JSONWebKeySet['keys'], { hasNames }: { hasNames: boolean }) {
    this.#find = createLocalJWKSet({ keys })
    this.#hasNames = hasNames
  }

  /** The keys that may have signed a token with this header. What the header itself says of a key is not used. */
  async find({ alg, kid }: JWTHeaderParameters): Promise<readonly CryptoKey[]> {
    try {
      return [await this.#find({ alg, ...(kid === undefined || !this.#hasNames ? {} : { kid }) })]
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return []
      const keys: CryptoKey[] = []
      for await (const key of error) keys.push(key)
      return keys
    }
  }
}

/** The keys of a JWKS document. */
export function keySetOfJwks(text: string, where: string): KeySet {
  const given = v.safeParse(KeySetText, text)
  if (!given.success)
    throw new FileProblem(
      where,
      `${where} is not a JWKS document with 1 to ${MOST_KEYS} keys; give the keys of the token service`,
    )
  const usable = given.output.keys.filter((key) => key.kty !== 'oct' && !('d' in key))
  if (usable.length > 0) return new KeySet(usable, { hasNames: true })
  throw new FileProblem(where, `${where} has no public key; give the public keys of the token service`)
}

/** The keys of a PEM file with public keys or certificates. */
export function keySetOfPem(text: string, where: string): KeySet {
  const keys = [...text.matchAll(PEM_BLOCK)].map(([pem, kind = '']) => {
    if (kind.includes('PRIVATE'))
      throw new FileProblem(
        where,
        `${where} holds a private key; give the public key or the certificate of the token service`,
      )
    return publicKey(pem, kind, where)
  })
  if (keys.length > 0 && keys.length <= MOST_KEYS) return new KeySet(keys, { hasNames: false })
  throw new FileProblem(
    where,
    `${where} holds no public key and no certificate, or more than ${MOST_KEYS}; give those of the token service as PEM`,
  )
}

function publicKey(pem: string, kind: string, where: string): JSONWebKeySet['keys'][number] {
  let key: ReturnType<typeof createPublicKey>
  try {
    key = kind.includes('CERTIFICATE') ? new X509Certificate(pem).publicKey : createPublicKey(pem)
  } catch (cause) {
    throw new FileProblem(where, `${where} holds a key that cannot be read; write it again as PEM`, { cause })
  }
  const { modulusLength = LEAST_RSA_BITS } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < LEAST_RSA_BITS)
    throw new FileProblem(
      where,
      `${where} holds an RSA key of ${modulusLength} bits; use one of at least ${LEAST_RSA_BITS}`,
    )
  const { kty = '', ...rest } = key.export({ format: 'jwk' })
  return { kty, ...rest } as JSONWebKeySet['keys'][number]
}
