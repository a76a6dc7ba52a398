import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { errorCode } from '../../lib/error-code.ts'
import { textOf } from '../format/xml.ts'
import { CredentialProblem, type CredentialProvider } from './credentials.ts'
import { ask } from './small-request.ts'

const WHAT = 'The token service of AWS (STS)'

/**
 * Credentials of a role for the token in a file (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`), which Kubernetes renews:
 * what EKS calls IRSA. `AWS_ENDPOINT_URL_STS` names another token service.
 */
export function webIdentityCredentials(
  environment: Readonly<Record<string, string | undefined>>,
  region: string,
): CredentialProvider {
  const file = environment['AWS_WEB_IDENTITY_TOKEN_FILE']
  const role = environment['AWS_ROLE_ARN']
  const endpoint = environment['AWS_ENDPOINT_URL_STS'] ?? `https://sts.${region}.amazonaws.com`
  return {
    name: 'the web identity',
    read: async ({ signal }) => {
      if (!file || !role) return undefined
      const body = new URLSearchParams({
        Action: 'AssumeRoleWithWebIdentity',
        Version: '2011-06-15',
        RoleArn: role,
        RoleSessionName: (environment['AWS_ROLE_SESSION_NAME'] ?? `leat-${hostname()}`)
          .replace(/[^\w+=,.@-]/g, '-')
          .slice(0, 64),
        WebIdentityToken: await tokenIn(file),
      }).toString()
      const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/xml' }
      const { status, text } = await ask(
        WHAT,
        { url: `${endpoint}/`, method: 'POST', headers, body },
        { signal },
      )
      if (status !== 200) {
        throw new CredentialProblem(`${WHAT} refuses the role ${role} (${textOf(text, 'Code') ?? status}).`)
      }
      const accessKeyId = textOf(text, 'AccessKeyId')
      const secretAccessKey = textOf(text, 'SecretAccessKey')
      const expiration = Date.parse(textOf(text, 'Expiration') ?? '')
      if (accessKeyId === undefined || secretAccessKey === undefined || Number.isNaN(expiration)) {
        throw new CredentialProblem(`${WHAT} sends an answer without credentials.`)
      }
      return {
        accessKeyId,
        secretAccessKey,
        sessionToken: textOf(text, 'SessionToken'),
        expiresAt: expiration,
      }
    },
  }
}

async function tokenIn(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    throw new CredentialProblem(`${file} cannot be read (${errorCode(error)}).`, { cause: error })
  }
}
