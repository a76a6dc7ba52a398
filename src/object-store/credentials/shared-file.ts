import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { CredentialProblem, type CredentialProvider } from './credentials.ts'

export interface SharedFileOptions {
  readonly file: string | undefined
  readonly profile: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Credentials in a section of `~/.aws/credentials`. The file is read again whenever credentials are wanted. */
export function sharedFileCredentials({ file, profile, environment }: SharedFileOptions): CredentialProvider {
  const path = file ?? environment['AWS_SHARED_CREDENTIALS_FILE'] ?? join(homedir(), '.aws', 'credentials')
  const name = profile ?? environment['AWS_PROFILE'] ?? 'default'
  return {
    name: path,
    read: async () => {
      let text: string
      try {
        text = await readFile(path, 'utf8')
      } catch (error) {
        const code = errorCode(error)
        if (code === 'ENOENT' && file === undefined) return undefined
        throw new CredentialProblem(`${path} cannot be read (${code}).`, { cause: error })
      }
      const section = sectionOf(text, name)
      const accessKeyId = section.get('aws_access_key_id')
      const secretAccessKey = section.get('aws_secret_access_key')
      if (!accessKeyId || !secretAccessKey) {
        if (file === undefined && profile === undefined) return undefined
        throw new CredentialProblem(`${path} has no keys in its section [${name}].`)
      }
      const sessionToken = section.get('aws_session_token') || undefined
      return { accessKeyId, secretAccessKey, sessionToken, expiresAt: undefined }
    },
  }
}

/** Reads `key = value` lines of one `[section]`. */
function sectionOf(text: string, name: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  let isInside = false
  for (const line of text.split(/\r?\n/)) {
    const heading = /^\s*\[([^\]]*)\]/.exec(line)
    if (heading !== null) isInside = heading[1]?.trim() === name
    const [, key, value] = /^\s*([\w]+)\s*=\s*(\S*)\s*$/.exec(line) ?? []
    if (isInside && key !== undefined && value !== undefined) values.set(key.toLowerCase(), value)
  }
  return values
}
