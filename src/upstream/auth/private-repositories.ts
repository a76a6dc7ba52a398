import { SharedWork } from '../../lib/async/shared-work.ts'
import { FileProblem, type WatchedFile } from '../../lib/watched-file.ts'
import { repositoryNameAtHosts, type Upstream } from '../options/options.ts'
import { dockerConfigFile } from './credential-files.ts'
import { type DockerConfig, findInDockerConfig } from './docker-config.ts'

/**
 * Says for which repositories the agent would use credentials. A helper counts as credentials without being asked, because
 * it is a process that clients could otherwise start at will.
 */
export class PrivateRepositories {
  readonly #files = new Map<string, WatchedFile<DockerConfig>>()
  /** Checks of many repositories at once read a file once. */
  readonly #reading = new SharedWork<DockerConfig | 'missing' | 'unusable'>()

  /** A file that cannot be read may contain credentials. */
  async isPrivate(upstream: Upstream, name: string): Promise<boolean> {
    return (await this.#stateOf(upstream, name)) !== 'none'
  }

  /** As `isPrivate`, but a file that is not there any more contains nothing. */
  async hasCredentials(upstream: Upstream, name: string): Promise<boolean> {
    return (await this.#stateOf(upstream, name)) === 'some'
  }

  async #stateOf(upstream: Upstream, name: string): Promise<'some' | 'none' | 'missing'> {
    const { basic, dockerConfig, hosts } = upstream
    if (basic !== undefined) return 'some'
    if (dockerConfig === undefined) return 'none'
    const config = await this.#read(dockerConfig)
    if (config === 'missing') return 'missing'
    if (config === 'unusable') return 'some'
    const fullName = repositoryNameAtHosts(upstream, name)
    return hosts.some((host) => findInDockerConfig(config, host, fullName) !== undefined) ? 'some' : 'none'
  }

  /** The parsed file, or why there is none. */
  #read(path: string): Promise<DockerConfig | 'missing' | 'unusable'> {
    const read = (): Promise<DockerConfig | 'missing' | 'unusable'> =>
      this.#file(path)
        .read()
        .catch((error: unknown) =>
          error instanceof FileProblem && error.code === 'ENOENT' ? 'missing' : 'unusable',
        )
    return this.#reading.run(path, read).promise
  }

  #file(path: string): WatchedFile<DockerConfig> {
    let file = this.#files.get(path)
    if (file === undefined) {
      file = dockerConfigFile(path)
      this.#files.set(path, file)
    }
    return file
  }
}
