import { SharedWork } from '../../lib/async/shared-work.ts'
import type { WatchedFile } from '../../lib/watched-file.ts'
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
  readonly #reading = new SharedWork<DockerConfig | undefined>()

  async isPrivate(upstream: Upstream, name: string): Promise<boolean> {
    const { basic, dockerConfig, hosts } = upstream
    if (basic !== undefined) return true
    if (dockerConfig === undefined) return false
    const config = await this.#read(dockerConfig)
    // A file that cannot be read may contain credentials.
    if (config === undefined) return true
    const fullName = repositoryNameAtHosts(upstream, name)
    return hosts.some((host) => findInDockerConfig(config, host, fullName) !== undefined)
  }

  /** The parsed file; undefined when it cannot be read. */
  #read(path: string): Promise<DockerConfig | undefined> {
    const read = (): Promise<DockerConfig | undefined> =>
      this.#file(path)
        .read()
        .catch(() => undefined)
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
