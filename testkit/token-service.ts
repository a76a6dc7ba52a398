import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'

type Actions = readonly string[]

/** What a user of a token service has. */
interface ServiceUser {
  readonly password: string
  /** The actions by repository. */
  readonly access: Readonly<Record<string, Actions>>
}

export interface TokenService {
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** The public key, as PEM and as a JWKS document. */
  readonly pem: string
  readonly jwks: string
  /** The scopes that were asked for. */
  readonly asked: readonly string[]
  /** Signs a token with these claims instead of those that are right. */
  sign(
    claims?: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
  ): Promise<string>
  close(): Promise<void>
}

/** A small token service of the distribution project's protocol, with GET and with POST as OAuth2 has it. */
export async function startTokenService(
  users: Readonly<Record<string, ServiceUser>>,
  { issuer = 'test issuer', service = 'test registry', alg = 'ES256' } = {},
): Promise<TokenService> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  const kid = createHash('sha256').update(JSON.stringify(jwk)).digest('hex').slice(0, 16)
  const asked: string[] = []
  const sign: TokenService['sign'] = (claims = {}, header = {}) => {
    const now = Math.floor(Date.now() / 1000)
    return new SignJWT({ iss: issuer, aud: service, iat: now, nbf: now - 5, exp: now + 300, ...claims })
      .setProtectedHeader({ alg, kid, typ: 'JWT', ...header })
      .sign(privateKey)
  }
  const server = createServer(async (request, response) => {
    const { user, password, scopes } = await readRequest(request)
    asked.push(...scopes)
    const known = users[user]
    if (user !== '' && known?.password !== password) {
      response.writeHead(401).end('{}')
      return
    }
    const token = await sign({ sub: user, access: scopes.flatMap((scope) => grantOf(scope, known)) })
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ token, access_token: token, expires_in: 300 }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    realm: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    service,
    issuer,
    pem: await exportSPKI(publicKey),
    jwks: JSON.stringify({ keys: [{ ...jwk, kid, alg, use: 'sig' }] }),
    asked,
    sign,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function readRequest(
  request: IncomingMessage,
): Promise<{ readonly user: string; readonly password: string; readonly scopes: readonly string[] }> {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += chunk
  const query = new URL(request.url ?? '', 'http://service').searchParams
  const form = new URLSearchParams(body)
  const [, encoded = ''] = /^Basic (.*)$/.exec(request.headers.authorization ?? '') ?? []
  const [user = '', ...password] = Buffer.from(encoded, 'base64').toString('utf8').split(':')
  return {
    user: form.get('username') ?? user,
    password: form.get('password') ?? password.join(':'),
    scopes: [...query.getAll('scope'), ...form.getAll('scope')].flatMap((scope) => scope.split(' ')),
  }
}

function grantOf(scope: string, user: ServiceUser | undefined): readonly unknown[] {
  const [, type = '', name = '', wanted = ''] = /^([a-z]+):(.+):([a-z,*]+)$/.exec(scope) ?? []
  const allowed = (user?.access[name] ?? []).filter((action) => wanted.split(',').includes(action))
  return allowed.length === 0 ? [] : [{ type, name, actions: allowed }]
}
