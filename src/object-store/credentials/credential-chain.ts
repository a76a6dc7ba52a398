import { unlessAborted } from '../../lib/async/abort.ts'
import { type BucketOptions, regionOf } from '../options/options.ts'
import { CredentialProblem, type CredentialProvider, type Credentials } from './credentials.ts'
import { environmentCredentials } from './environment.ts'
import { instanceCredentials } from './instance-metadata.ts'
import { sharedFileCredentials } from './shared-file.ts'
import { webIdentityCredentials } from './web-identity.ts'

/** Credentials are renewed this long before they expire. */
const RENEW_BEFORE_MS = 5 * 60_000
/** Credentials without an expiry are read again after this time, because a file may have changed. */
const REREAD_MS = 60_000
/** How long all places together may take. */
const DEADLINE_MS = 15_000

/** The credentials of one bucket: read when they are needed, kept until shortly before they expire. */
export class CredentialChain {
  readonly #providers: readonly CredentialProvider[]
  readonly #isAnonymous: boolean
  #known: { readonly credentials: Credentials; readonly from: string; readonly renewAt: number } | undefined
  #reading: Promise<Credentials> | undefined

  constructor(options: BucketOptions) {
    this.#isAnonymous = options.credentials === 'none'
    this.#providers = providersOf(options)
  }

  /** Where the credentials in use came from. */
  get from(): string | undefined {
    return this.#known?.from
  }

  /** Gives undefined when requests are not signed. Rejects with a `CredentialProblem` when there are no credentials. */
  async get({ signal }: { signal: AbortSignal }): Promise<Credentials | undefined> {
    if (this.#isAnonymous) return undefined
    if (this.#known !== undefined && Date.now() < this.#known.renewAt) return this.#known.credentials
    this.#reading ??= this.#read({ signal: AbortSignal.timeout(DEADLINE_MS) }).finally(() => {
      this.#reading = undefined
    })
    return unlessAborted(this.#reading, signal)
  }

  /** Says that the server has refused these credentials as expired: they are read again. */
  forget(refused: Credentials | undefined): void {
    if (this.#known?.credentials === refused) this.#known = undefined
  }

  async #read(options: { signal: AbortSignal }): Promise<Credentials> {
    for (const provider of this.#providers) {
      const credentials = await provider.read(options)
      if (credentials === undefined) continue
      const { expiresAt } = credentials
      const renewAt = expiresAt === undefined ? Date.now() + REREAD_MS : expiresAt - RENEW_BEFORE_MS
      this.#known = { credentials, from: provider.name, renewAt }
      return credentials
    }
    const places = this.#providers.map(({ name }) => name).join(', ')
    throw new CredentialProblem(`There are no credentials for the object store in ${places}.`)
  }
}

function providersOf(options: BucketOptions): readonly CredentialProvider[] {
  const { credentials = 'auto', credentialsFile: file, profile, environment = {} } = options
  const byKind = {
    env: () => environmentCredentials(environment),
    file: () => sharedFileCredentials({ file, profile, environment }),
    'web-identity': () => webIdentityCredentials(environment, regionOf(options)),
    instance: () => instanceCredentials(environment),
  }
  if (credentials === 'none') return []
  if (credentials !== 'auto') return [byKind[credentials]()]
  return [byKind.env(), byKind.file(), byKind['web-identity'](), byKind.instance()]
}
