import { mkdirSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { Daemon } from '../../../../testkit/daemon.ts'
import { type MachineProcess, startMachineProcess } from '../../../../testkit/lab/machine-process.ts'
import type { LabMachine } from '../../../../testkit/lab/network.ts'
import { type Containerd, NAMESPACE } from './containerd.ts'

export const SPEGEL_PORT = 5000
const ROUTER_PORT = 5001
const BOOTSTRAP_PORT = 5002
const METRICS_PORT = 9090
const READY_MS = 60_000

/** Spegel beside a containerd, with the defaults of its chart. */
export class Spegel {
  readonly #machine: LabMachine
  readonly #daemon: Daemon
  readonly #process: MachineProcess

  /** `first` is the address of the instance at which this one joins. */
  constructor(program: string, containerd: Containerd, folder: string, first: string) {
    const { machine } = containerd
    const { namespace, label, address } = machine
    mkdirSync(folder, { recursive: true })
    this.#machine = machine
    this.#process = startMachineProcess(machine)
    this.#daemon = new Daemon(`spegel on ${label}`, 'ip', [
      ...['netns', 'exec', namespace, program, 'registry', '--log-level', 'WARN'],
      ...['--containerd-sock', containerd.socket],
      ...['--containerd-namespace', NAMESPACE],
      ...['--containerd-content-path', containerd.content],
      ...['--data-dir', folder],
      ...['--registry-addr', `:${SPEGEL_PORT}`],
      ...['--router-addr', `:${ROUTER_PORT}`],
      ...['--metrics-addr', `127.0.0.1:${METRICS_PORT}`],
      ...['--bootstrap-kind', 'http'],
      ...['--http-bootstrap-addr', `${address}:${BOOTSTRAP_PORT}`],
      ...['--http-bootstrap-url', `http://${first}:${BOOTSTRAP_PORT}/id`],
    ])
  }

  /** Resolves when its `/readyz` answers 200. */
  async ready(): Promise<void> {
    const { label } = this.#machine
    const isReady = async (): Promise<boolean> => {
      const request = { host: '127.0.0.1', port: SPEGEL_PORT, path: '/readyz', keep: true }
      return (await this.#process.ask('request', request, 5000)).status === 200
    }
    const giveUpAt = performance.now() + READY_MS
    while (!(await isReady().catch(() => false))) {
      if (performance.now() > giveUpAt) {
        throw new Error(`spegel on ${label} did not become ready: ${this.#daemon.output.slice(-1000)}`)
      }
      await wait(100)
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.#daemon.stop(), this.#process.stop()])
  }
}
