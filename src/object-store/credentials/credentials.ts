/** What requests are signed with. It is never logged. */
export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
  /** When they expire, in milliseconds since the epoch; undefined: never. */
  readonly expiresAt: number | undefined
}

/** One place where credentials may be. */
export interface CredentialProvider {
  /** Names the place in errors and reports. */
  readonly name: string
  /** Gives undefined when this place has none. Rejects with a `CredentialProblem` when it should have some. */
  read(options: { signal: AbortSignal }): Promise<Credentials | undefined>
}

/** Why credentials cannot be had. The message is one sentence without any secret. */
export class CredentialProblem extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CredentialProblem'
  }
}
