import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { issueCredentials } from '../../src/peers/identity/certificate.ts'
import { deriveSecret } from '../../src/peers/identity/secret.ts'
import type { Command, Reply, Status } from './messages.ts'

const REPLY_MS = 60_000

export interface Moved {
  readonly ms: number
  readonly sendingCpu: number
  readonly receivingCpu: number
}

/** Two Node processes with one TLS connection between them, and a certificate like those of agents. */
export class BareTls {
  readonly cipher: string
  readonly #sender: End
  readonly #receiver: End

  static async start(): Promise<BareTls> {
    const [sender, receiver] = [new End(), new End()]
    try {
      const { key, cert } = issueCredentials([await deriveSecret('the secret of the bench')])
      const { port = 0 } = await sender.ask({ do: 'listen', key, cert })
      const { cipher = '' } = await receiver.ask({ do: 'connect', port })
      return new BareTls(sender, receiver, cipher)
    } catch (error) {
      await Promise.all([sender.stop(), receiver.stop()])
      throw error
    }
  }

  private constructor(sender: End, receiver: End, cipher: string) {
    this.#sender = sender
    this.#receiver = receiver
    this.cipher = cipher
  }

  /** Sends so many bytes. With a file, the receiver hashes the bytes and writes them to it. */
  async move(bytes: number, file?: string): Promise<Moved> {
    const cpu = async (end: End): Promise<number> => (await end.ask({ do: 'report' })).cpuSeconds
    const [sendingBefore, receivingBefore] = [await cpu(this.#sender), await cpu(this.#receiver)]
    const { ms = Number.NaN, cpuSeconds } = await this.#receiver.ask({ do: 'receive', bytes, file })
    const sendingCpu = (await cpu(this.#sender)) - sendingBefore
    return { ms, sendingCpu, receivingCpu: cpuSeconds - receivingBefore }
  }

  async stop(): Promise<void> {
    await Promise.all([this.#sender.stop(), this.#receiver.stop()])
  }
}

class End {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL('./tls-process.js', import.meta.url)))

  async ask(command: Command): Promise<Status> {
    const signal = AbortSignal.timeout(REPLY_MS)
    const answer = once(this.#child, 'message', { signal })
    this.#child.send(command)
    const [reply] = (await answer) as [Reply]
    if ('error' in reply) throw new Error(`one end of the bare connection: ${reply.error}`)
    return reply.status
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }
}
