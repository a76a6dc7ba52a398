import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { type Agent, createAgent } from '../../../../src/agent.ts'
import { contentViewOf } from '../../../../src/observe/reports/content-view.ts'
import { listBlobs } from '../../../../src/observe/reports/listing.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { BlobReport } from '../../../../src/schemas/content-report.ts'
import { StatusReport } from '../../../../src/schemas/status-report.ts'
import { Layout } from '../../../../src/store/files/layout.ts'
import type { ImageAdded } from '../../../../testkit/registries/faulty/content.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../../testkit/registries/faulty-upstream.ts'
import { openStore } from '../../../store/folder.ts'
import type { CommandResult } from '../../agent-process.ts'
import { runInProcess } from '../../run-in-process.ts'

export const KIB = 1024

/** The parts of an image without the layer that it shares with the other one. */
export function ownParts({ manifest, config, layers }: ImageAdded): Digest[] {
  return [manifest, config, ...layers.slice(1)]
}

/** An agent with two images that share a layer, and the upkeep commands on it or, after its stop, on its folder. */
export class UpkeepFixture {
  #upstream: FaultyUpstream | undefined
  #images: { readonly app: ImageAdded; readonly other: ImageAdded } | undefined
  #data = ''
  #node: Agent | undefined

  async open(): Promise<void> {
    const upstream = await startFaultyUpstream()
    const base = randomBytes(50 * KIB)
    this.#upstream = upstream
    this.#images = {
      app: upstream.addImage('app', 'v1', [base, randomBytes(30 * KIB)]),
      other: upstream.addImage('other', 'v1', [base, randomBytes(20 * KIB)]),
    }
  }

  async close(): Promise<void> {
    await this.#upstream?.close()
  }

  async startWithImages(): Promise<void> {
    this.#data = await mkdtemp(join(tmpdir(), 'leat-upkeep-'))
    await this.start()
    for (const [name, { config, layers }] of Object.entries({ app: this.app, other: this.other })) {
      for (const path of ['manifests/v1', ...[config, ...layers].map((digest) => `blobs/${digest}`)])
        assert.equal((await this.get(`${name}/${path}`)).status, 200)
    }
    await this.noFlights()
  }

  async stopAndRemove(): Promise<void> {
    await this.stop()
    await rm(this.#data, { recursive: true })
  }

  async start(scrubRate = 0): Promise<void> {
    this.#node = createAgent({
      data: this.#data,
      scrubRate,
      listen: { host: '127.0.0.1', port: 0 },
      admin: { host: '127.0.0.1', port: 0 },
      upstreams: { entries: [{ namespace: 'up.test', hosts: [this.upstream.host], tls: false }] },
    })
    await this.#node.start()
  }

  async stop(): Promise<void> {
    await this.#node?.stop({ drainMs: 0 })
    this.#node = undefined
  }

  get upstream(): FaultyUpstream {
    return this.#upstream ?? assert.fail('not open')
  }

  get app(): ImageAdded {
    return this.#images?.app ?? assert.fail('not open')
  }

  get other(): ImageAdded {
    return this.#images?.other ?? assert.fail('not open')
  }

  get sharedLayer(): Digest {
    return this.app.layers[0] ?? assert.fail()
  }

  get data(): string {
    return this.#data
  }

  async get(path: string): Promise<Response> {
    const port = this.#node?.addresses.registry.port
    const response = await fetch(`http://127.0.0.1:${port}/v2/up.test/${path}`)
    await response.arrayBuffer()
    return response
  }

  /** The flags that name the running agent, or its data folder when it is stopped. */
  locationFlags(): readonly string[] {
    const admin = this.#node?.addresses.admin
    return admin === undefined ? ['--data', this.#data] : ['--admin', `127.0.0.1:${admin.port}`]
  }

  run(...args: string[]): Promise<CommandResult> {
    return runInProcess([...args, ...this.locationFlags()])
  }

  /** Runs a command with --json, and parses each line of its output. */
  async json(...args: string[]): Promise<ReturnType<typeof JSON.parse>[]> {
    const { code, out, err } = await this.run(...args, '--json')
    assert.equal(code, 0, err)
    return out === ''
      ? []
      : out
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line))
  }

  /** The stored blobs, read without the command line, which takes longer. */
  async blobs(): Promise<BlobReport[]> {
    const admin = this.#node?.addresses.admin
    if (admin !== undefined) {
      const text = await (await fetch(`http://127.0.0.1:${admin.port}/api/v1/blobs`)).text()
      return text.split('\n').flatMap((line) => (line === '' ? [] : v.parse(BlobReport, JSON.parse(line))))
    }
    const store = await openStore({ path: this.#data })
    try {
      const blobs: BlobReport[] = []
      for await (const blob of listBlobs(contentViewOf(store))) blobs.push(blob)
      return blobs
    } finally {
      await store.close()
    }
  }

  async storedDigests(): Promise<string[]> {
    return (await this.blobs()).map(({ digest }) => digest)
  }

  /** Waits until no flight is in progress: a client gets its last byte before the flight ends. */
  async noFlights(): Promise<void> {
    const port = this.#node?.addresses.admin?.port
    for (let flights = 1; flights > 0; await delay(5)) {
      const status = await (await fetch(`http://127.0.0.1:${port}/api/v1/status`)).json()
      flights = v.parse(StatusReport, status).flights.length
    }
  }

  /** Flips one bit of a stored blob. */
  async corrupt(digest: Digest): Promise<void> {
    const file = new Layout(this.#data).blob(digest)
    const bytes = await readFile(file)
    bytes[100] = (bytes[100] ?? 0) ^ 1
    await writeFile(file, bytes)
  }
}
