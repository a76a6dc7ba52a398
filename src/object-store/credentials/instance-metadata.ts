import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import { CredentialProblem, type CredentialProvider, type Credentials } from './credentials.ts'
import { ask } from './small-request.ts'

/** Without a cloud nobody answers at this address, and the agent goes on without credentials. */
const METADATA_DEADLINE_MS = 1_000
const ECS = 'http://169.254.170.2'
const TOKEN_SECONDS = '300'

const Answer = v.object({
  AccessKeyId: v.string(),
  SecretAccessKey: v.string(),
  Token: v.optional(v.string()),
  Expiration: v.optional(v.string()),
})

/**
 * Credentials of the machine's role, by version 2 of the metadata service of EC2; in a container of ECS, or a pod of EKS
 * (Pod Identity), by the service that `AWS_CONTAINER_CREDENTIALS_*` names.
 */
export function instanceCredentials(
  environment: Readonly<Record<string, string | undefined>>,
): CredentialProvider {
  const relative = environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI']
  const full = environment['AWS_CONTAINER_CREDENTIALS_FULL_URI']
  const url = relative ? `${ECS}${relative}` : full
  return url
    ? { name: 'the container', read: (options) => fromContainer(url, environment, options) }
    : { name: 'the instance metadata', read: (options) => fromMachine(environment, options) }
}

async function fromContainer(
  url: string,
  environment: Readonly<Record<string, string | undefined>>,
  options: { signal: AbortSignal },
): Promise<Credentials> {
  const file = environment['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE']
  const token = file
    ? (await readFile(file, 'utf8')).trim()
    : environment['AWS_CONTAINER_AUTHORIZATION_TOKEN']
  const headers = token ? { authorization: token } : {}
  const what = 'The credential service of the container'
  const { status, text } = await ask(what, { url, headers }, options)
  if (status !== 200) throw new CredentialProblem(`${what} answers ${status}.`)
  return parseAnswer(what, text)
}

async function fromMachine(
  environment: Readonly<Record<string, string | undefined>>,
  options: { signal: AbortSignal },
): Promise<Credentials | undefined> {
  if (environment['AWS_EC2_METADATA_DISABLED'] === 'true') return undefined
  const endpoint = environment['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? 'http://169.254.169.254'
  const what = 'The instance metadata service'
  const get = async (path: string, headers: Record<string, string>, method: 'GET' | 'PUT' = 'GET') =>
    ask(
      what,
      { url: new URL(path, endpoint).href, method, headers, deadlineMs: METADATA_DEADLINE_MS },
      options,
    )
  const token = await get(
    '/latest/api/token',
    { 'x-aws-ec2-metadata-token-ttl-seconds': TOKEN_SECONDS },
    'PUT',
  ).catch(() => undefined)
  if (token?.status !== 200) return undefined
  const headers = { 'x-aws-ec2-metadata-token': token.text }
  const path = '/latest/meta-data/iam/security-credentials/'
  const roles = await get(path, headers)
  const [role] = roles.text.split('\n')
  if (roles.status !== 200 || !role) return undefined
  const answer = await get(`${path}${role.trim()}`, headers)
  if (answer.status !== 200) throw new CredentialProblem(`${what} answers ${answer.status}.`)
  return parseAnswer(what, answer.text)
}

function parseAnswer(what: string, text: string): Credentials {
  const answer = v.safeParse(Answer, parseJson(text))
  if (!answer.success) throw new CredentialProblem(`${what} sends an answer without credentials.`)
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = answer.output
  const expiresAt = Expiration === undefined ? undefined : Date.parse(Expiration)
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: Token,
    expiresAt: expiresAt === undefined || Number.isNaN(expiresAt) ? undefined : expiresAt,
  }
}
