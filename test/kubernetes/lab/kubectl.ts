import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { LabMachine } from '../../../testkit/lab/network.ts'
import { run } from '../../../testkit/programs.ts'
import { inNetwork } from './in-network.ts'

/** Only what never happens takes so long, however busy the machine is. */
const DEADLINE_MS = 300_000
const POLL_MS = 250

/** `kubectl` with the rights of an administrator. */
export class Kubectl {
  readonly #machine: LabMachine
  readonly #path: string
  readonly #config: string
  readonly #home: string

  /** It writes below `home`. */
  constructor(machine: LabMachine, path: string, config: string, home: string) {
    this.#machine = machine
    this.#path = path
    this.#config = config
    this.#home = home
  }

  /** The standard output. Throws with the output when the command fails. */
  async run(args: readonly string[], input?: string): Promise<string> {
    const command = inNetwork(this.#machine, this.#path, [
      `--kubeconfig=${this.#config}`,
      `--cache-dir=${join(this.#home, 'kube-cache')}`,
      ...args,
    ])
    const options = {
      env: { HOME: this.#home },
      deadlineMs: DEADLINE_MS + 30_000,
      ...(input === undefined ? {} : { input }),
    }
    return (await run(command.path, command.args, options)).stdout
  }

  async apply(object: object): Promise<void> {
    await this.run(['apply', '--filename=-'], JSON.stringify(object))
  }

  async get<Shape>(...args: readonly string[]): Promise<Shape> {
    return JSON.parse(await this.run(['get', '--output=json', ...args])) as Shape
  }

  /** Waits until the condition holds, such as `condition=Ready`, of what the arguments name. */
  async wait(condition: string, ...args: readonly string[]): Promise<void> {
    await this.run(['wait', `--for=${condition}`, `--timeout=${DEADLINE_MS / 1000}s`, ...args])
  }

  /** Waits until all pods of a DaemonSet are ready with its current template. */
  async rolledOut(namespace: string, name: string): Promise<void> {
    const timeout = `--timeout=${DEADLINE_MS / 1000}s`
    await this.run(['--namespace', namespace, 'rollout', 'status', `daemonset/${name}`, timeout])
  }
}

/** Waits until `attempt` gives a value. */
export async function until<Value>(
  what: string,
  attempt: () => Promise<Value | undefined> | Value | undefined,
): Promise<Value> {
  const deadline = Date.now() + DEADLINE_MS
  for (;;) {
    const value = await attempt()
    if (value !== undefined) return value
    if (Date.now() > deadline) throw new Error(`${what} has not happened in ${DEADLINE_MS / 1000} s`)
    await delay(POLL_MS)
  }
}
