import type { CredentialProvider } from './credentials.ts'

/** Credentials in `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. */
export function environmentCredentials(
  environment: Readonly<Record<string, string | undefined>>,
): CredentialProvider {
  return {
    name: 'the environment',
    read: async () => {
      const accessKeyId = environment['AWS_ACCESS_KEY_ID']
      const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY']
      if (!accessKeyId || !secretAccessKey) return undefined
      const sessionToken = environment['AWS_SESSION_TOKEN'] || undefined
      return { accessKeyId, secretAccessKey, sessionToken, expiresAt: undefined }
    },
  }
}
