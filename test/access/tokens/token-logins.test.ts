import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose'
import type { Login } from '../../../src/access/logins/login.ts'
import type { SignatureAlgorithm } from '../../../src/access/options/access-options.ts'
import { TokenLogins } from '../../../src/access/tokens/token-logins.ts'
import { startTokenService, type TokenService } from '../../../testkit/token-service.ts'

const folder = await mkdtemp(join(tmpdir(), 'leat-token-'))
const service = await startTokenService({})
after(async () => {
  await service.close()
  await rm(folder, { recursive: true })
})

const REPOSITORY = { registry: 'localhost', name: 'team/app' }
const ACCESS = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]

async function open(
  from: TokenService,
  {
    kind = 'jwks-file',
    now,
    algorithms,
  }: { kind?: 'pem' | 'jwks-file'; now?: () => number; algorithms?: readonly SignatureAlgorithm[] } = {},
): Promise<TokenLogins> {
  const file = join(folder, `${kind}-${from.realm.replaceAll(/\W/g, '-')}`)
  await writeFile(file, kind === 'pem' ? from.pem : from.jwks)
  return TokenLogins.open(
    { ...from, keys: { kind, file }, ...(algorithms === undefined ? {} : { algorithms }) },
    { isHosted: () => false, ...(now === undefined ? {} : { now }) },
  )
}

function mayPull(login: Login): boolean {
  return login.kind === 'known' && login.grants?.({ action: 'pull', repository: REPOSITORY }) === true
}

function messageOf(login: Login): string {
  return login.kind === 'refused' ? login.message : login.kind
}

const epoch = (): number => Math.floor(Date.now() / 1000)

for (const alg of ['RS256', 'PS384', 'ES256', 'ES512', 'EdDSA']) {
  for (const kind of ['pem', 'jwks-file'] as const) {
    test(`a token signed by ${alg} is verified with a key of a ${kind}`, async () => {
      const signer = await startTokenService({}, { alg })
      try {
        const logins = await open(signer, { kind })
        const login = await logins.find(await signer.sign({ sub: 'alice', access: ACCESS }))
        assert.deepEqual(
          [login.kind, 'name' in login && login.name, mayPull(login)],
          ['known', 'alice', true],
        )
      } finally {
        await signer.close()
      }
    })
  }
}

test('a token without a subject is of nobody, and one without access allows nothing', async () => {
  const logins = await open(service)
  for (const claims of [{ sub: '' }, {}, { access: null }, { access: [] }]) {
    const login = await logins.find(await service.sign(claims))
    assert.equal(login.kind, 'known')
    assert.equal('name' in login && login.name, undefined)
    assert.equal(mayPull(login), false)
  }
})

test('a token for others, of others, or for another time is refused', async () => {
  const logins = await open(service)
  const table: readonly [Record<string, unknown>, RegExp][] = [
    [{ aud: 'other registry' }, /claim aud/],
    [{ aud: undefined }, /claim aud/],
    [{ iss: 'other issuer' }, /claim iss/],
    [{ exp: epoch() - 60 }, /has expired/],
    [{ exp: undefined }, /claim exp/],
    [{ nbf: epoch() + 600 }, /claim nbf/],
    [{ access: 'everything' }, /cannot be read/],
    [{ access: [{ type: 'repository', name: 5 }] }, /cannot be read/],
    [{ sub: 'a'.repeat(256) }, /cannot be read/],
  ]
  for (const [claims, message] of table) {
    const login = await logins.find(await service.sign({ sub: 'alice', access: ACCESS, ...claims }))
    assert.match(messageOf(login), message, JSON.stringify(claims))
  }
})

test('a token is valid for the service also if it names several', async () => {
  const logins = await open(service)
  const token = await service.sign({ aud: ['other', service.service], access: ACCESS })
  assert.equal(mayPull(await logins.find(token)), true)
})

test('a token that was right is refused when it has expired, though it was remembered', async () => {
  let now = Date.now()
  const logins = await open(service, { now: () => now })
  const token = await service.sign({ access: ACCESS, exp: epoch() + 60 })
  assert.equal(mayPull(await logins.find(token)), true)
  assert.equal(mayPull(await logins.find(token)), true)
  now += 95_000
  assert.match(messageOf(await logins.find(token)), /has expired/)
})

test('an unsigned token is refused', async () => {
  const logins = await open(service)
  const claims = { iss: service.issuer, aud: service.service, exp: epoch() + 60, access: ACCESS }
  assert.match(messageOf(await logins.find(new UnsecuredJWT(claims).encode())), /not allowed|cannot be read/)
  const [, payload] = (await service.sign({ access: ACCESS })).split('.')
  for (const alg of ['none', 'None', 'NONE', '']) {
    const header = Buffer.from(JSON.stringify({ alg, typ: 'JWT' })).toString('base64url')
    for (const signature of ['', 'AAAA'])
      assert.equal((await logins.find(`${header}.${payload}.${signature}`)).kind, 'refused', alg)
  }
})

test('a token signed with the public key as the secret is refused', async () => {
  for (const kind of ['pem', 'jwks-file'] as const) {
    const logins = await open(service, { kind })
    const [, payload] = (await service.sign({ access: ACCESS })).split('.')
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      const header = Buffer.from(JSON.stringify({ alg, typ: 'JWT' })).toString('base64url')
      for (const secret of [service.pem, service.jwks, JSON.parse(service.jwks).keys[0].x]) {
        const signature = createHmac(alg.replace('HS', 'sha'), secret)
          .update(`${header}.${payload}`)
          .digest('base64url')
        assert.match(messageOf(await logins.find(`${header}.${payload}.${signature}`)), /not allowed/)
      }
    }
  }
})

test('a key that the token itself brings or points to is not used', async () => {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = await exportJWK(own.publicKey)
  for (const kind of ['pem', 'jwks-file'] as const) {
    const logins = await open(service, { kind })
    const { kid } = JSON.parse(service.jwks).keys[0]
    for (const header of [
      { jwk },
      { jwk: { ...jwk, kid } },
      { jku: `${service.realm}/keys` },
      { x5u: `${service.realm}/certificates` },
      { x5c: ['AAAA'] },
      { kid, jwk },
      { kid: '../../../../dev/null' },
    ]) {
      const token = await new SignJWT({ iss: service.issuer, aud: service.service, access: ACCESS })
        .setExpirationTime('1m')
        .setProtectedHeader({ alg: 'ES256', kid, ...header })
        .sign(own.privateKey)
      assert.match(messageOf(await logins.find(token)), /not signed by a key/, JSON.stringify(header))
    }
  }
  assert.deepEqual(service.asked, [], 'the token service was asked for nothing')
})

test('a token that was changed, cut or is none is refused', async () => {
  const logins = await open(service)
  const token = await service.sign({ access: ACCESS })
  const [header, payload, signature] = token.split('.')
  const other = Buffer.from(JSON.stringify({ access: ACCESS, exp: epoch() + 60 })).toString('base64url')
  for (const wrong of [
    `${header}.${other}.${signature}`,
    `${header}.${payload}.`,
    `${header}.${payload}`,
    `${header}.${payload}.${signature?.slice(1)}`,
    `${token}.${token}`,
    'x',
    '..',
    '....',
  ])
    assert.equal((await logins.find(wrong)).kind, 'refused', wrong)
})

test('only the algorithms of the settings are used', async () => {
  const logins = await open(service, { algorithms: ['RS256'] })
  assert.match(messageOf(await logins.find(await service.sign({ access: ACCESS }))), /not allowed/)
})
