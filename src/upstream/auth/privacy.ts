import { SharedWork } from '../../lib/async/shared-work.ts'
import { repositoryNameAtHosts, type Upstream } from '../options/options.ts'
import { type DockerConfig, findInDockerConfig, parseDockerConfig } from './docker-config.ts'
import { WatchedFile } from './watched-file.ts'

/**
 * Which repositories would be asked for with credentials. That there are some, or a helper that may have some, is enough:
 * a helper is a process, and others than the operator could have it started as often as they like.
 */
export class Privacy {
  readonly #files = new Map<string, WatchedFile<DockerConfig>>()
  /** A list of many repositories looks into a file once. */
  readonly #reading = new SharedWork<DockerConfig | undefined>()

  async isPrivate(upstream: Upstream, name: string): Promise<boolean> {
    const { basic, dockerConfig, hosts } = upstream
    if (basic !== undefined) return true
    if (dockerConfig === undefined) return false
    const config = await this.#read(dockerConfig)
    // What cannot be read may hold credentials.
    if (config === undefined) return true
    const fullName = repositoryNameAtHosts(upstream, name)
    return hosts.some((host) => findInDockerConfig(config, host, fullName) !== undefined)
  }

  /** Undefined when it cannot be. */
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
      file = new WatchedFile(path, (text) => parseDockerConfig(text, path))
      this.#files.set(path, file)
    }
    return file
  }
}
