import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Place } from './network.ts'
import type { Account, MadeImage, UpstreamSkills } from './programs/upstream-program.ts'
import { Remote } from './remote-process.ts'

const PROGRAM = fileURLToPath(new URL('./programs/upstream-program.js', import.meta.url))
const PORT = 5000
/** Who has got a body may know it before the kernel has told who sent it. */
const SENT_MS = 30_000
const MIB = 1 << 20
let images = 0

/** The registry that all nodes fetch from. */
export class Upstream {
  readonly place: Place
  readonly #remote: Remote<UpstreamSkills>

  static async start(place: Place): Promise<Upstream> {
    const upstream = new Upstream(place)
    await upstream.start()
    return upstream
  }

  private constructor(place: Place) {
    this.place = place
    this.#remote = new Remote(place, PROGRAM, [place.address, String(PORT)])
  }

  /** `host:port`. */
  get address(): string {
    return `${this.place.address}:${PORT}`
  }

  start(): Promise<void> {
    return this.#remote.ask('start', undefined)
  }

  /** Nothing listens any more, and what was open is closed. */
  pause(): Promise<void> {
    return this.#remote.ask('stop', undefined)
  }

  /** An image that nobody has seen before. */
  image(layerSizes: readonly number[] = [2 * MIB, MIB, 1000], tag = 'v1'): Promise<MadeImage> {
    const repository = `lab/image-${images++}`
    return this.#remote.ask('make', { repository, tag, seed: `${repository} ${process.pid}`, layerSizes })
  }

  /** The tag of that image names another one from now on. */
  replace({ repository, tag }: MadeImage, layerSizes: readonly number[] = [1000]): Promise<MadeImage> {
    return this.#remote.ask('make', { repository, tag, seed: `${repository} ${images++}`, layerSizes })
  }

  drop(image: MadeImage): Promise<void> {
    return this.#remote.ask('drop', [image.manifest, ...image.blobs.map((blob) => blob.digest)])
  }

  /** Closes the door on these places, and on nobody else. */
  deny(places: readonly Place[]): Promise<void> {
    return this.#remote.ask(
      'deny',
      places.map((place) => place.address),
    )
  }

  async accounts(): Promise<Accounts> {
    return new Accounts(await this.#remote.ask('accounts', undefined))
  }

  /** As soon as all bytes of that image's blobs were sent so often. */
  async accountsOf(image: MadeImage, times = 1): Promise<Accounts> {
    const deadline = Date.now() + SENT_MS
    for (;;) {
      const accounts = await this.accounts()
      const isSent = image.blobs.every(({ digest, size }) => accounts.bytesOf(digest) >= times * size)
      if (isSent || Date.now() > deadline) return accounts
      await delay(20)
    }
  }

  forget(): Promise<void> {
    return this.#remote.ask('forget', undefined)
  }

  stop(): Promise<void> {
    return this.#remote.stop()
  }
}

/** What upstream has been asked for and has sent. */
export class Accounts {
  readonly all: readonly Account[]

  constructor(all: readonly Account[]) {
    this.all = all
  }

  /** How often the bytes of this digest, or the answer for this tag, were sent, whole or in part. */
  sent(reference: string): number {
    return sum(this.#of(reference, 'GET').map((account) => account.answered))
  }

  heads(reference: string): number {
    return sum(this.#of(reference, 'HEAD').map((account) => account.requests))
  }

  bytesOf(reference: string): number {
    return sum(this.#of(reference, 'GET').map((account) => account.bytes))
  }

  /** Bytes of blobs and manifests, over all clients. */
  get bytes(): number {
    return sum(this.all.map((account) => account.bytes))
  }

  get requests(): number {
    return sum(this.all.map((account) => account.requests))
  }

  /** Bytes of this image's blobs that were sent, over what they have: 1 is once. */
  egress(image: MadeImage): number {
    const wanted = sum(image.blobs.map((blob) => blob.size))
    return sum(image.blobs.map((blob) => this.bytesOf(blob.digest))) / wanted
  }

  /** Addresses of those to whom bytes of it went. */
  clientsOf(reference: string): string[] {
    return this.#of(reference, 'GET')
      .filter((account) => account.answered > 0)
      .map((account) => account.client)
  }

  #of(reference: string, method: string): Account[] {
    return this.all.filter((account) => account.reference === reference && account.method === method)
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
