import { unlessAborted } from '../../lib/async/abort.ts'
import { FileProblem, type WatchedFile } from '../../lib/watched-file.ts'
import { Failure } from '../../ports/failure.ts'
import type { Upstream } from '../options/options.ts'
import type { Credential } from './credential.ts'
import { dockerConfigFile, passwordFile } from './credential-files.ts'
import { runCredentialHelper } from './credential-helper.ts'
import { type DockerConfig, findInDockerConfig } from './docker-config.ts'

/** A helper is a process, so its answer is cached, unless upstream refuses it. */
const HELPER_TTL_MS = 5 * 60_000

interface HelperAnswer {
  readonly until: number
  readonly credential: Promise<Credential | undefined>
}

/** The credentials for one host, from the settings, a password file, a Docker config or a credential helper. */
export class Credentials {
  readonly #upstream: Upstream
  readonly #host: string
  readonly #passwordFile: WatchedFile<string> | undefined
  readonly #dockerConfig: WatchedFile<DockerConfig> | undefined
  readonly #stopping: AbortSignal
  /** The cached answers by helper. A Docker config names one or two helpers for a host. */
  readonly #answers = new Map<string, HelperAnswer>()

  constructor(upstream: Upstream, host: string, { signal }: { signal: AbortSignal }) {
    this.#upstream = upstream
    this.#host = host
    this.#stopping = signal
    const { basic, dockerConfig } = upstream
    if (basic !== undefined && 'passwordFile' in basic) {
      this.#passwordFile = passwordFile(basic.passwordFile)
    }
    if (basic === undefined && dockerConfig !== undefined) this.#dockerConfig = dockerConfigFile(dockerConfig)
  }

  /** Reads the files of the settings. Rejects with a `FileProblem` if one cannot be used. */
  async readFiles(): Promise<void> {
    await Promise.all([this.#passwordFile?.read(), this.#dockerConfig?.read()])
  }

  /** Finds the credential for a repository; undefined when requests are anonymous. */
  async find(name: string, { signal }: { signal: AbortSignal }): Promise<Credential | undefined> {
    await this.readFiles().catch((error: unknown) => {
      throw error instanceof FileProblem ? new Failure('unavailable', error.message, { cause: error }) : error
    })
    const { basic } = this.#upstream
    if (basic !== undefined) {
      const password = 'password' in basic ? basic.password : ((await this.#passwordFile?.read()) ?? '')
      return { kind: 'basic', username: basic.username, password }
    }
    const config = await this.#dockerConfig?.read()
    const found = config === undefined ? undefined : findInDockerConfig(config, this.#host, name)
    if (found === undefined) return undefined
    return 'credential' in found
      ? found.credential
      : this.#credentialOfHelper(found.helper, found.server, { signal })
  }

  /** Drops cached answers of helpers, after upstream has refused them. */
  forgetHelperAnswers(): void {
    this.#answers.clear()
  }

  #credentialOfHelper(
    helper: string,
    server: string,
    { signal }: { signal: AbortSignal },
  ): Promise<Credential | undefined> {
    let answer = this.#answers.get(helper)
    if (answer === undefined || answer.until <= performance.now()) {
      const credential = runCredentialHelper(helper, server, { signal: this.#stopping })
      answer = { until: performance.now() + HELPER_TTL_MS, credential }
      this.#answers.set(helper, answer)
      const failed = answer
      credential.catch(() => {
        if (this.#answers.get(helper) === failed) this.#answers.delete(helper)
      })
    }
    return unlessAborted(answer.credential, signal)
  }
}
