import { mkdirSync, writeFileSync } from 'node:fs'
import { Daemon } from '../../../../testkit/daemon.ts'
import type { LabMachine } from '../../../../testkit/lab/network.ts'
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

export interface ContainerdOptions {
  readonly machine: LabMachine
  readonly folder: string
  readonly programs: Programs
  /** `host:port` of the registry. */
  readonly upstream: string
  /** The port of the mirror on this machine. */
  readonly mirrorPort: number
}

/** When a pull began and ended, in milliseconds of the monotonic clock. */
export interface TimedPull {
  readonly startedAt: number
  readonly endedAt: number
}

/** A containerd on a machine of the lab, which asks the mirror on its machine before the registry. */
export class Containerd {
  readonly machine: LabMachine
  readonly socket: string
  /** The folder of its content store. */
  readonly content: string
  readonly #ctr: string
  readonly #hosts: string
  readonly #daemon: Daemon

  static async start(options: ContainerdOptions): Promise<Containerd> {
    const containerd = new Containerd(options)
    await containerd.#daemon.ready(async () => (await tryRun(...containerd.#command('version'))).code === 0)
    return containerd
  }

  private constructor({ machine, folder, programs, upstream, mirrorPort }: ContainerdOptions) {
    this.machine = machine
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
    const command = ['netns', 'exec', machine.namespace, programs.containerd]
    this.#daemon = new Daemon(`containerd on ${machine.label}`, 'ip', [
      ...command,
      ...['--config', config, '--log-level', 'warn'],
    ])
  }

  /** Fetches all of an image into the content store, which verifies it. Nothing is unpacked. */
  async pull({ repository, tag }: MadeImage): Promise<TimedPull> {
    const startedAt = now()
    const name = `${REGISTRY}/${repository}:${tag}`
    const [ip, args] = this.#command('content', 'fetch', '--hosts-dir', this.#hosts, name)
    await run(ip, args, { deadlineMs: PULL_WITHIN_MS })
    return { startedAt, endedAt: now() }
  }

  async stop(): Promise<void> {
    await this.#daemon.stop()
  }

  /** The client sends the requests to registries, so it runs in the namespace of the machine. */
  #command(...args: string[]): [string, string[]] {
    const client = [this.#ctr, '--address', this.socket, '--namespace', NAMESPACE]
    return ['ip', ['netns', 'exec', this.machine.namespace, ...client, ...args]]
  }
}
