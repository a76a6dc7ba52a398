import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { CredentialChain } from '../../../src/object-store/credentials/credential-chain.ts'
import type { BucketOptions } from '../../../src/object-store/options/options.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { folder } from '../../store/folder.ts'
import { NEVER } from '../bucket-fixture.ts'

const HOUR_MS = 3_600_000

function chain(options: Partial<BucketOptions>): CredentialChain {
  return new CredentialChain({ bucket: 'images', prefix: '', ...options })
}

/** Starts a service that answers by the method and path of a request. Gives its URL and the requests. */
async function startService(
  t: TestContext,
  answer: (request: IncomingMessage, body: string) => string | undefined,
): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    asked.push(`${request.method} ${request.url}`)
    const text = answer(request, body)
    response.statusCode = text === undefined ? 404 : 200
    response.end(text ?? '')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  addCleanup(t, async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

function instanceAnswer(expiresInMs: number, key = 'key'): string {
  const Expiration = new Date(Date.now() + expiresInMs).toISOString()
  return JSON.stringify({ AccessKeyId: key, SecretAccessKey: 'secret', Token: 'token', Expiration })
}

test('variables of the environment are taken, with the session token', async () => {
  const environment = {
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SESSION_TOKEN: 'token',
  }
  assert.deepEqual(await chain({ environment }).get(NEVER), {
    accessKeyId: 'key',
    secretAccessKey: 'secret',
    sessionToken: 'token',
    expiresAt: undefined,
  })
})

test('the section of the profile is read from the shared file', async (t) => {
  const file = join(await folder(t), 'credentials')
  await writeFile(
    file,
    '[default]\naws_access_key_id = one\naws_secret_access_key = first\n\n[other]\naws_access_key_id=two\naws_secret_access_key=second\n',
  )
  const options = { credentials: 'file', credentialsFile: file, environment: {} } as const
  assert.equal((await chain(options).get(NEVER))?.accessKeyId, 'one')
  assert.equal((await chain({ ...options, profile: 'other' }).get(NEVER))?.secretAccessKey, 'second')
  await assert.rejects(chain({ ...options, profile: 'none' }).get(NEVER), {
    message: /has no keys in its section/,
  })
})

test('a web identity is exchanged for credentials of its role', async (t) => {
  const bodies: string[] = []
  const { url } = await startService(t, (_, body) => {
    bodies.push(body)
    const expiration = new Date(Date.now() + HOUR_MS).toISOString()
    return `<AssumeRoleWithWebIdentityResponse><Credentials><AccessKeyId>key</AccessKeyId><SecretAccessKey>se&amp;cret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResponse>`
  })
  const file = join(await folder(t), 'token')
  await writeFile(file, 'the-token\n')
  const environment = {
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_ROLE_ARN: 'arn:aws:iam::1:role/leat',
    AWS_ENDPOINT_URL_STS: url,
    HOME: '/nonexistent',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
  }
  const credentials = chain({ environment })
  assert.equal((await credentials.get(NEVER))?.secretAccessKey, 'se&cret')
  assert.equal(credentials.from, 'the web identity')
  const sent = new URLSearchParams(bodies[0])
  assert.equal(sent.get('WebIdentityToken'), 'the-token')
  assert.equal(sent.get('RoleArn'), 'arn:aws:iam::1:role/leat')
})

test('the metadata of the machine is asked with a session token, and again shortly before its credentials expire', async (t) => {
  let expiresInMs = 60_000
  const { url, asked } = await startService(t, ({ method, url: path, headers }) => {
    if (method === 'PUT') return 'session'
    if (headers['x-aws-ec2-metadata-token'] !== 'session') return undefined
    return path?.endsWith('/leat-role') ? instanceAnswer(expiresInMs) : 'leat-role'
  })
  const environment = { AWS_EC2_METADATA_SERVICE_ENDPOINT: url, AWS_SHARED_CREDENTIALS_FILE: '/nonexistent' }
  const credentials = chain({ environment })
  assert.equal((await credentials.get(NEVER))?.sessionToken, 'token')
  assert.equal(asked.length, 3)
  expiresInMs = HOUR_MS
  await credentials.get(NEVER)
  assert.equal(asked.length, 6)
  await credentials.get(NEVER)
  assert.equal(asked.length, 6)
})

test('the service of a container is asked with its token', async (t) => {
  const { url } = await startService(t, ({ headers }) =>
    headers.authorization === 'container-token' ? instanceAnswer(HOUR_MS, 'of-container') : undefined,
  )
  const environment = {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN: 'container-token',
  }
  assert.equal(
    (await chain({ credentials: 'instance', environment }).get(NEVER))?.accessKeyId,
    'of-container',
  )
})

test('without credentials the error names all places, and no secret', async () => {
  const environment = { AWS_EC2_METADATA_DISABLED: 'true', AWS_SHARED_CREDENTIALS_FILE: '/nonexistent' }
  await assert.rejects(chain({ environment }).get(NEVER), {
    message:
      /^There are no credentials for the object store in the environment, \/nonexistent, the web identity, /,
  })
  assert.equal(await chain({ credentials: 'none' }).get(NEVER), undefined)
})
