import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { S3Fault } from '../object-store/fake-s3.ts'
import type { LabMachine } from './network.ts'
import { REGISTRY } from './node.ts'
import type { BucketTasks } from './programs/bucket-program.ts'
import type { MadeImage } from './programs/upstream-program.ts'
import { RemoteProcess } from './remote-process.ts'

const PROGRAM = fileURLToPath(new URL('./programs/bucket-program.js', import.meta.url))
const PORT = 9000
const ROOT = 'docker/registry/v2'
/** Only a node that never uploads takes so long, however busy the machine is. */
const FILLED_MS = 180_000

/** The bucket of all nodes of a lab. */
export class LabBucket {
  readonly #process: RemoteProcess<BucketTasks>
  readonly #address: string

  static async start(machine: LabMachine): Promise<LabBucket> {
    const bucket = new LabBucket(machine)
    await bucket.#process.ask('start', undefined)
    return bucket
  }

  private constructor(machine: LabMachine) {
    this.#process = new RemoteProcess(machine, PROGRAM, [machine.address, String(PORT)])
    this.#address = machine.address
  }

  /** The settings of a node that uses the bucket, in YAML. */
  get settings(): string {
    return `objectStore:\n  url: s3://images\n  endpoint: http://${this.#address}:${PORT}\n  credentials: none\n`
  }

  /** Resolves when the bucket has all of an image, its tag too. */
  async untilFilled({ repository, tag, blobs, manifest }: MadeImage): Promise<void> {
    const folder = `${ROOT}/repositories/${REGISTRY}/${repository}`
    const digests = blobs.map(({ digest }) => digest)
    const keys = [
      ...[manifest, ...digests].map(dataKey),
      ...digests.map((digest) => `${folder}/_layers/${digest.replace(':', '/')}/link`),
      `${folder}/_manifests/tags/${tag}/current/link`,
    ]
    const deadline = Date.now() + FILLED_MS
    for (;;) {
      const known = new Set(await this.#process.ask('keys', undefined))
      const missing = keys.filter((key) => !known.has(key))
      if (missing.length === 0) return
      if (Date.now() > deadline) throw new Error(`the bucket never got ${missing.join(', ')}`)
      await delay(50)
    }
  }

  /** How many bytes of each blob of an image were sent since the last reset, by digest. */
  async bytesOf({ blobs }: MadeImage): Promise<ReadonlyMap<string, number>> {
    const sent = await this.#process.ask('sent', undefined)
    return new Map(blobs.map(({ digest }) => [digest, sent.get(dataKey(digest)) ?? 0]))
  }

  reset(): Promise<void> {
    return this.#process.ask('reset', undefined)
  }

  failReads(fault: S3Fault | undefined): Promise<void> {
    return this.#process.ask('failReads', fault)
  }

  stop(): Promise<void> {
    return this.#process.stop()
  }
}

function dataKey(digest: string): string {
  const hex = digest.slice('sha256:'.length)
  return `${ROOT}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`
}
