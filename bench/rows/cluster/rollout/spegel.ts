import { mkdirSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { Daemon } from '../../../../testkit/daemon.ts'
import { type Hand, handAt } from '../../../../testkit/lab/machine-process.ts'
import { type Machine, NAMESPACE } from './machine.ts'

export const SPEGEL_PORT = 5000
const ROUTER_PORT = 5001
const BOOTSTRAP_PORT = 5002
const METRICS_PORT = 9090
const READY_MS = 60_000

/** Spegel beside a containerd, with what its chart sets left as it is. */
export class Spegel {
  readonly #machine: Machine
  readonly #daemon: Daemon
  readonly #hand: Hand

  /** One that finds the others by asking the one at the address `first`. */
  constructor(program: string, machine: Machine, folder: string, first: string) {
    const { namespace, label, address } = machine.place
    mkdirSync(folder, { recursive: true })
    this.#machine = machine
    this.#hand = handAt(machine.place)
    this.#daemon = new Daemon(`spegel at ${label}`, 'ip', [
      ...['netns', 'exec', namespace, program, 'registry', '--log-level', 'WARN'],
      ...['--containerd-sock', machine.socket],
      ...['--containerd-namespace', NAMESPACE],
      ...['--containerd-content-path', machine.content],
      ...['--data-dir', folder],
      ...['--registry-addr', `:${SPEGEL_PORT}`],
      ...['--router-addr', `:${ROUTER_PORT}`],
      ...['--metrics-addr', `127.0.0.1:${METRICS_PORT}`],
      ...['--bootstrap-kind', 'http'],
      ...['--http-bootstrap-addr', `${address}:${BOOTSTRAP_PORT}`],
      ...['--http-bootstrap-url', `http://${first}:${BOOTSTRAP_PORT}/id`],
    ])
  }

  /** Resolves when it says that it is. */
  async ready(): Promise<void> {
    const { label } = this.#machine.place
    const isReady = async (): Promise<boolean> => {
      const about = { host: '127.0.0.1', port: SPEGEL_PORT, path: '/readyz', keep: true }
      return (await this.#hand.ask('ask', about, 5000)).status === 200
    }
    const giveUpAt = performance.now() + READY_MS
    while (!(await isReady().catch(() => false))) {
      if (performance.now() > giveUpAt) {
        throw new Error(`spegel at ${label} did not get ready: ${this.#daemon.output.slice(-1000)}`)
      }
      await wait(100)
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.#daemon.stop(), this.#hand.stop()])
  }
}
