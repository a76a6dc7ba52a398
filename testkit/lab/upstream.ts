import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { LabMachine } from './network.ts'
import type { ClientTraffic, MadeImage, UpstreamTasks } from './programs/upstream-program.ts'
import { RemoteProcess } from './remote-process.ts'

const PROGRAM = fileURLToPath(new URL('./programs/upstream-program.js', import.meta.url))
const PORT = 5000
/** A client can have received a body before the kernel reports to the registry that the body was sent. */
const SENT_MS = 30_000
const MIB = 1 << 20
let images = 0

/** The registry that all nodes fetch from. */
export class Upstream {
  readonly machine: LabMachine
  readonly #process: RemoteProcess<UpstreamTasks>

  static async start(machine: LabMachine): Promise<Upstream> {
    const upstream = new Upstream(machine)
    await upstream.start()
    return upstream
  }

  private constructor(machine: LabMachine) {
    this.machine = machine
    this.#process = new RemoteProcess(machine, PROGRAM, [machine.address, String(PORT)])
  }

  /** `host:port`. */
  get address(): string {
    return `${this.machine.address}:${PORT}`
  }

  start(): Promise<void> {
    return this.#process.ask('start', undefined)
  }

  /** Stops listening and closes all connections; `start` resumes. */
  pause(): Promise<void> {
    return this.#process.ask('stop', undefined)
  }

  /** Makes a new image. */
  makeImage(layerSizes: readonly number[] = [2 * MIB, MIB, 1000], tag = 'v1'): Promise<MadeImage> {
    const repository = `lab/image-${images++}`
    return this.#process.ask('make', { repository, tag, seed: `${repository} ${process.pid}`, layerSizes })
  }

  /** Makes a new image and moves the tag of this one to it. */
  replace({ repository, tag }: MadeImage, layerSizes: readonly number[] = [1000]): Promise<MadeImage> {
    return this.#process.ask('make', { repository, tag, seed: `${repository} ${images++}`, layerSizes })
  }

  drop(image: MadeImage): Promise<void> {
    return this.#process.ask('drop', [image.manifest, ...image.blobs.map((blob) => blob.digest)])
  }

  /** Closes all connections from these machines, and from no others, until the next call. */
  deny(machines: readonly LabMachine[]): Promise<void> {
    return this.#process.ask(
      'deny',
      machines.map((machine) => machine.address),
    )
  }

  async traffic(): Promise<UpstreamTraffic> {
    return new UpstreamTraffic(await this.#process.ask('traffic', undefined))
  }

  /** The traffic once all bytes of the image's blobs were sent so many times, or when that has taken too long. */
  async trafficOf(image: MadeImage, times = 1): Promise<UpstreamTraffic> {
    const deadline = Date.now() + SENT_MS
    for (;;) {
      const traffic = await this.traffic()
      const isSent = image.blobs.every(({ digest, size }) => traffic.bytesOf(digest) >= times * size)
      if (isSent || Date.now() > deadline) return traffic
      await delay(20)
    }
  }

  resetTraffic(): Promise<void> {
    return this.#process.ask('resetTraffic', undefined)
  }

  stop(): Promise<void> {
    return this.#process.stop()
  }
}

/** What clients have requested from upstream, and what it has sent. */
export class UpstreamTraffic {
  readonly clients: readonly ClientTraffic[]

  constructor(clients: readonly ClientTraffic[]) {
    this.clients = clients
  }

  /** How many answers had bytes of this digest or tag, all of them or a part. */
  sent(reference: string): number {
    return sum(this.#of(reference, 'GET').map((client) => client.answered))
  }

  heads(reference: string): number {
    return sum(this.#of(reference, 'HEAD').map((client) => client.requests))
  }

  bytesOf(reference: string): number {
    return sum(this.#of(reference, 'GET').map((client) => client.bytes))
  }

  /** The bytes of blobs and manifests that were sent to all clients. */
  get bytes(): number {
    return sum(this.clients.map((client) => client.bytes))
  }

  get requests(): number {
    return sum(this.clients.map((client) => client.requests))
  }

  /** How many copies of the image's blobs were sent, by bytes. */
  copiesSent(image: MadeImage): number {
    const size = sum(image.blobs.map((blob) => blob.size))
    return sum(image.blobs.map((blob) => this.bytesOf(blob.digest))) / size
  }

  /** The addresses of the clients that bytes of the digest were sent to. */
  clientsOf(reference: string): string[] {
    return this.#of(reference, 'GET')
      .filter((client) => client.answered > 0)
      .map((client) => client.client)
  }

  #of(reference: string, method: string): ClientTraffic[] {
    return this.clients.filter((client) => client.reference === reference && client.method === method)
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
