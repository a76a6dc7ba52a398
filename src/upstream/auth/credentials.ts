import { unlessAborted } from '../../lib/async/abort.ts'
import type { Upstream } from '../options/options.ts'
import type { Credential } from './credential.ts'
import { askHelper } from './credential-helper.ts'
import { type DockerConfig, findInDockerConfig, parseDockerConfig } from './docker-config.ts'
import { WatchedFile } from './watched-file.ts'

/** A helper is a process: its answer is kept for a while, unless upstream refuses it. */
const HELPER_MS = 5 * 60_000

interface Answered {
  readonly until: number
  readonly credential: Promise<Credential | undefined>
}

/** Who we are to one host, from wherever the operator has put that. */
export class Credentials {
  readonly #upstream: Upstream
  readonly #host: string
  readonly #passwordFile: WatchedFile<string> | undefined
  readonly #dockerConfig: WatchedFile<DockerConfig> | undefined
  readonly #stopping: AbortSignal
  /** By helper; there are as many as the docker config names for this host: one or two. */
  readonly #answered = new Map<string, Answered>()

  constructor(upstream: Upstream, host: string, { signal }: { signal: AbortSignal }) {
    this.#upstream = upstream
    this.#host = host
    this.#stopping = signal
    const { basic, dockerConfig } = upstream
    if (basic !== undefined && 'passwordFile' in basic) {
      this.#passwordFile = new WatchedFile(basic.passwordFile, (text) => text.replace(/\r?\n$/, ''))
    }
    if (dockerConfig !== undefined) {
      this.#dockerConfig = new WatchedFile(dockerConfig, (text) => parseDockerConfig(text, dockerConfig))
    }
  }

  /** The credential for a repository; undefined for anonymous. */
  async find(name: string, { signal }: { signal: AbortSignal }): Promise<Credential | undefined> {
    const { basic } = this.#upstream
    if (basic !== undefined) {
      const password = 'password' in basic ? basic.password : ((await this.#passwordFile?.read()) ?? '')
      return { kind: 'basic', username: basic.username, password }
    }
    const config = await this.#dockerConfig?.read()
    const found = config === undefined ? undefined : findInDockerConfig(config, this.#host, name)
    if (found === undefined) return undefined
    return 'credential' in found ? found.credential : this.#ask(found.helper, found.server, { signal })
  }

  /** Upstream has refused what helpers said: ask them again. */
  distrust(): void {
    this.#answered.clear()
  }

  #ask(helper: string, server: string, { signal }: { signal: AbortSignal }): Promise<Credential | undefined> {
    let answered = this.#answered.get(helper)
    if (answered === undefined || answered.until <= performance.now()) {
      const credential = askHelper(helper, server, { signal: this.#stopping })
      answered = { until: performance.now() + HELPER_MS, credential }
      this.#answered.set(helper, answered)
      const forget = answered
      credential.catch(() => {
        if (this.#answered.get(helper) === forget) this.#answered.delete(helper)
      })
    }
    return unlessAborted(answered.credential, signal)
  }
}
