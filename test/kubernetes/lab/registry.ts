import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hash } from 'bcrypt'
import { Daemon } from '../../../testkit/daemon.ts'
import { configure } from '../../../testkit/lab/namespaces.ts'
import type { LabMachine } from '../../../testkit/lab/network.ts'
import { type Image, push } from '../../../testkit/registries/image.ts'
import { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import { inNetwork } from './in-network.ts'

/** One line of the log in combined format: client, method, path, status, bytes, and who asked. */
const LINE = /^(\S+) \S+ \S+ \[[^\]]*\] "(\S+) (\S+) [^"]*" (\d{3}) (\d+) "[^"]*" "([^"]*)"/

export interface RegistryRequest {
  readonly client: string
  readonly method: string
  readonly path: string
  readonly status: number
  readonly bytes: number
  /** The User-Agent, such as `leat/0.1.0` or `containerd/2.3.7`. */
  readonly agent: string
}

export interface Login {
  readonly user: string
  readonly password: string
}

export interface RegistryOptions {
  readonly machine: LabMachine
  /** The name under which the nodes know it. */
  readonly host: string
  /** An address of its own on the machine. */
  readonly address: string
  readonly program: string
  readonly folder: string
  /** The files of its certificate and key. */
  readonly certificate: string
  readonly key: string
  /** Who may pull; default: everybody. */
  readonly login?: Login | undefined
}

/** A real registry with TLS on a machine of the lab. Images are pushed by a second one with the same folder, on loopback. */
export class ClusterRegistry {
  readonly host: string
  readonly address: string
  readonly #serving: Daemon
  readonly #pushing: UpstreamRegistry
  readonly #requests: RegistryRequest[] = []

  static async start(options: RegistryOptions): Promise<ClusterRegistry> {
    const { machine, address, program, folder, login } = options
    await mkdir(folder, { recursive: true })
    configure(machine.namespace, [`address add ${address}/32 dev lo`])
    const users = join(folder, 'users')
    if (login !== undefined) await writeFile(users, `${login.user}:${await hash(login.password, 5)}\n`)
    const config = join(folder, 'serving.json')
    await writeFile(
      config,
      JSON.stringify({
        version: 0.1,
        log: { level: 'error' },
        storage: { filesystem: { rootdirectory: join(folder, 'data') } },
        http: { addr: `${address}:443`, tls: { certificate: options.certificate, key: options.key } },
        ...(login === undefined ? {} : { auth: { htpasswd: { realm: 'lab', path: users } } }),
      }),
    )
    return new ClusterRegistry(
      options,
      inNetwork(machine, program, ['serve', config]),
      await UpstreamRegistry.start(program, folder),
    )
  }

  private constructor(
    { host, address }: RegistryOptions,
    command: { readonly path: string; readonly args: readonly string[] },
    pushing: UpstreamRegistry,
  ) {
    this.host = host
    this.address = address
    this.#pushing = pushing
    this.#serving = new Daemon(`registry ${host}`, command.path, command.args, {
      onLine: (line) => this.#onLine(line),
    })
  }

  async push(repository: string, tag: string, image: Image): Promise<void> {
    await push(this.#pushing.url, repository, tag, image)
  }

  /** The requests for manifests and blobs of a repository so far. A request is noted after its last byte. */
  requests(repository: string): readonly RegistryRequest[] {
    return this.#requests.filter(({ path }) => path.startsWith(`/v2/${repository}/`))
  }

  #onLine(line: string): void {
    const [, client, method, path, status, bytes, agent] = LINE.exec(line) ?? []
    if (client === undefined || method === undefined || path === undefined || agent === undefined) return
    this.#requests.push({ client, method, path, status: Number(status), bytes: Number(bytes), agent })
  }

  async stop(): Promise<void> {
    await Promise.all([this.#pushing.stop(), this.#serving.stop('SIGKILL')])
  }
}
