import { AwsV4Signer } from 'aws4fetch'
import { Failure } from '../../ports/failure.ts'
import { CredentialChain } from '../credentials/credential-chain.ts'
import { CredentialProblem, type Credentials } from '../credentials/credentials.ts'
import { type BucketOptions, regionOf } from '../options/options.ts'

/** The SHA-256 of no bytes. */
export const NO_PAYLOAD = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

export interface UnsignedRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** The SHA-256 of the body in hex, which the server compares with what arrives. */
  readonly payloadHash: string
}

export interface SignedRequest {
  readonly headers: Readonly<Record<string, string>>
  /** What the request was signed with; undefined: it is not signed. */
  readonly credentials: Credentials | undefined
}

/** Signs the requests to one bucket (AWS Signature Version 4). */
export class Signer {
  readonly #region: string
  readonly #chain: CredentialChain
  readonly #source: string
  /** Signing keys of the day, which are derived from the secret. */
  readonly #keys = new Map<string, ArrayBuffer>()

  constructor(options: BucketOptions, source: string) {
    this.#region = regionOf(options)
    this.#chain = new CredentialChain(options)
    this.#source = source
  }

  /** Where the credentials in use came from; undefined before the first request. */
  get credentialsFrom(): string | undefined {
    return this.#chain.from
  }

  async sign(request: UnsignedRequest, options: { signal: AbortSignal }): Promise<SignedRequest> {
    const credentials = await this.#credentials(options)
    if (credentials === undefined) return { headers: request.headers, credentials }
    const { method, url, headers, payloadHash } = request
    const signed = await this.#signerFor(credentials, {
      method,
      url: url.href,
      headers: { ...headers, 'x-amz-content-sha256': payloadHash },
    }).sign()
    return { headers: Object.fromEntries(signed.headers), credentials }
  }

  /** A URL by which anybody may get the object for that long. It is a secret. */
  async presign(
    url: URL,
    {
      method,
      expiresInSeconds,
      signal,
    }: { method: 'GET' | 'HEAD'; expiresInSeconds: number; signal: AbortSignal },
  ): Promise<URL> {
    const credentials = await this.#credentials({ signal })
    if (credentials === undefined) return url
    const withExpiry = new URL(url)
    withExpiry.searchParams.set('X-Amz-Expires', String(expiresInSeconds))
    const signer = this.#signerFor(credentials, { method, url: withExpiry.href, signQuery: true })
    return (await signer.sign()).url
  }

  /** Says that the server has refused these credentials as expired. */
  forget(credentials: Credentials | undefined): void {
    this.#chain.forget(credentials)
  }

  #signerFor(
    { accessKeyId, secretAccessKey, sessionToken }: Credentials,
    request: { method: string; url: string; headers?: Record<string, string>; signQuery?: boolean },
  ): AwsV4Signer {
    // The keys of days and credentials that are over are not kept.
    if (this.#keys.size > 4) this.#keys.clear()
    return new AwsV4Signer({
      ...request,
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      service: 's3',
      region: this.#region,
      cache: this.#keys,
    })
  }

  async #credentials(options: { signal: AbortSignal }): Promise<Credentials | undefined> {
    try {
      return await this.#chain.get(options)
    } catch (error) {
      if (!(error instanceof CredentialProblem)) throw error
      throw new Failure('denied', error.message, { cause: error, source: this.#source })
    }
  }
}
