import { EventEmitter, once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { answers, Daemon, freePort } from '../daemon.ts'

const DEADLINE_MS = 60_000

export interface Access {
  readonly method: string
  readonly path: string
  readonly status: number
}

/** `127.0.0.1 - - [20/Nov/2026:18:44:48 +0000] "GET /v2/ HTTP/1.1" 200 2 "" "curl/7.88"` (combined log format). */
const LINE = /^\S+ \S+ \S+ \[[^\]]*\] "(\S+) (\S+) [^"]*" (\d{3}) /

/** A real docker-registry with a folder of its own, on a loopback port that stays the same after a restart. */
export class UpstreamRegistry {
  readonly port: number
  readonly #program: string
  readonly #folder: string
  readonly #seen = new EventEmitter()
  #accesses: Access[] = []
  #daemon: Daemon | undefined
  #markers = 0

  /** A file of users; from the next start on, everybody has to log in. */
  htpasswd: string | undefined

  static async start(program: string, folder: string): Promise<UpstreamRegistry> {
    await mkdir(folder, { recursive: true })
    const registry = new UpstreamRegistry(program, folder, await freePort())
    await registry.start()
    return registry
  }

  private constructor(program: string, folder: string, port: number) {
    this.#program = program
    this.#folder = folder
    this.port = port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const config = join(this.#folder, 'config.json')
    // docker-registry reads YAML, which includes JSON.
    await writeFile(
      config,
      JSON.stringify({
        version: 0.1,
        log: { level: 'error' },
        storage: { filesystem: { rootdirectory: join(this.#folder, 'data') } },
        http: { addr: `127.0.0.1:${this.port}` },
        ...(this.htpasswd === undefined
          ? {}
          : { auth: { htpasswd: { realm: 'registry', path: this.htpasswd } } }),
      }),
    )
    this.#daemon = new Daemon('docker-registry', this.#program, ['serve', config], {
      onLine: (line) => this.#onLine(line),
    })
    await this.#daemon.ready(() => answers(`${this.url}/v2/`, this.htpasswd === undefined ? 200 : 401))
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop()
    this.#daemon = undefined
  }

  /** All requests since the start or `forget`. */
  async accesses(): Promise<readonly Access[]> {
    await this.#untilLogged()
    return this.#accesses
  }

  /** How often the blob or manifest was sent. */
  async fetches(digest: string): Promise<number> {
    const all = await this.accesses()
    return all.filter((one) => one.method === 'GET' && one.path.includes(digest) && one.status < 300).length
  }

  async forget(): Promise<void> {
    await this.#untilLogged()
    this.#accesses = []
  }

  /** A request is logged after its last byte was sent, so this waits until one more request is logged. */
  async #untilLogged(): Promise<void> {
    if (this.#daemon === undefined) return
    const marker = `/v2/marker-${this.#markers++}/tags/list`
    const signal = AbortSignal.timeout(DEADLINE_MS)
    const requested = fetch(`${this.url}${marker}`, { signal }).then((response) => response.arrayBuffer())
    await Promise.all([once(this.#seen, marker, { signal }), requested])
  }

  #onLine(line: string): void {
    const [, method, path, status] = LINE.exec(line) ?? []
    if (method === undefined || path === undefined) return
    if (path.startsWith('/v2/marker-')) this.#seen.emit(path)
    else this.#accesses.push({ method, path, status: Number(status) })
  }
}
