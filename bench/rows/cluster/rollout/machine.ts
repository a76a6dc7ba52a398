import { mkdirSync, writeFileSync } from 'node:fs'
import { Daemon } from '../../../../testkit/daemon.ts'
import type { Place } from '../../../../testkit/lab/network.ts'
import { REGISTRY } from '../../../../testkit/lab/node.ts'
import type { MadeImage } from '../../../../testkit/lab/programs/upstream-program.ts'
import { run, tryRun } from '../../../../testkit/programs.ts'
import { now } from '../../../client/jobs.ts'

export const NAMESPACE = 'bench'
const PULL_WITHIN_MS = 180_000

export interface Programs {
  readonly containerd: string
  readonly ctr: string
}

export interface MachineOptions {
  readonly place: Place
  readonly folder: string
  readonly programs: Programs
  /** `host:port` of the registry. */
  readonly upstream: string
  /** Where the mirror listens on this machine. */
  readonly mirrorPort: number
}

/** What a pull by a runtime took, in milliseconds of the machine's clock. */
export interface Pulled {
  readonly startedAt: number
  readonly endedAt: number
}

/** A containerd of its own at a place, which asks the mirror on its machine before the registry. */
export class Machine {
  readonly place: Place
  readonly socket: string
  /** Where it keeps what it has pulled. */
  readonly content: string
  readonly #ctr: string
  readonly #hosts: string
  readonly #daemon: Daemon

  static async start(options: MachineOptions): Promise<Machine> {
    const machine = new Machine(options)
    await machine.#daemon.ready(async () => (await tryRun(...machine.#command('version'))).code === 0)
    return machine
  }

  private constructor({ place, folder, programs, upstream, mirrorPort }: MachineOptions) {
    this.place = place
    this.socket = `${folder}/containerd.sock`
    this.content = `${folder}/root/io.containerd.content.v1.content`
    this.#ctr = programs.ctr
    this.#hosts = `${folder}/hosts`
    mkdirSync(`${this.#hosts}/${REGISTRY}`, { recursive: true })
    writeFileSync(
      `${this.#hosts}/${REGISTRY}/hosts.toml`,
      `server = "http://${upstream}"
[host."http://127.0.0.1:${mirrorPort}"]
  capabilities = ["pull", "resolve"]
  dial_timeout = "200ms"
`,
    )
    const config = `${folder}/containerd.toml`
    writeFileSync(
      config,
      `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${this.socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
`,
    )
    const command = ['netns', 'exec', place.namespace, programs.containerd]
    this.#daemon = new Daemon(`containerd at ${place.label}`, 'ip', [
      ...command,
      ...['--config', config, '--log-level', 'warn'],
    ])
  }

  /** All of an image into its content store, verified by it. Nothing is unpacked. */
  async pull({ repository, tag }: MadeImage): Promise<Pulled> {
    const startedAt = now()
    const name = `${REGISTRY}/${repository}:${tag}`
    const [ip, args] = this.#command('content', 'fetch', '--hosts-dir', this.#hosts, name)
    await run(ip, args, { deadlineMs: PULL_WITHIN_MS })
    return { startedAt, endedAt: now() }
  }

  async stop(): Promise<void> {
    await this.#daemon.stop()
  }

  /** The client is who asks registries, so it runs at the place. */
  #command(...args: string[]): [string, string[]] {
    const client = [this.#ctr, '--address', this.socket, '--namespace', NAMESPACE]
    return ['ip', ['netns', 'exec', this.place.namespace, ...client, ...args]]
  }
}
