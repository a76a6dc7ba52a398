import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { AgentOptions } from '../../../src/agent.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../../testkit/object-store/servers.ts'
import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { PATIENCE, type RunningAgent, startAgent, startUpstream } from '../../agent/running-agent.ts'
import { startFake } from '../../object-store/bucket-fixture.ts'
import { imageOf } from '../lab.ts'

export const ROOT = 'docker/registry/v2'

export interface BucketLab {
  readonly fake: FakeS3
  readonly upstream: FaultyUpstream
  /** Starts an agent that hosts `team/**` in the bucket. */
  start(options?: Partial<AgentOptions>): Promise<BucketAgent>
}

/** A bucket in memory, and agents that share it. */
export async function bucketLab(t: TestContext): Promise<BucketLab> {
  const fake = await startFake(t)
  const upstream = await startUpstream(t)
  return {
    fake,
    upstream,
    start: async (options = {}) =>
      new BucketAgent(await startAgent(t, { upstream, ...hostedIn(fake), scrubRate: 0, ...options })),
  }
}

/** The options of an agent that hosts `team/**` in the bucket. */
export function hostedIn({ endpoint }: FakeS3) {
  return {
    hosted: { names: ['team/**'] },
    patience: PATIENCE,
    objectStore: {
      bucket: 'images',
      prefix: '',
      endpoint,
      environment: TEST_KEYS,
      hosted: true,
    },
  } satisfies Partial<AgentOptions>
}

export interface PushedImage {
  readonly manifest: Digest
  readonly config: Digest
  readonly layers: readonly Digest[]
}

/** What clients do with hosted repositories of one agent. */
export class BucketAgent {
  readonly running: RunningAgent

  constructor(running: RunningAgent) {
    this.running = running
  }

  get address(): string {
    const { host, port } = this.running.agent.addresses.registry
    return `${host}:${port}`
  }

  send(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://${this.address}/v2/${path}`, init)
  }

  async pushBlob(bytes: Uint8Array, repository = 'team/app'): Promise<Digest> {
    const digest = digestOf(bytes)
    const init = { method: 'POST', body: Buffer.from(bytes) }
    const answer = await this.send(`${repository}/blobs/uploads/?digest=${digest}`, init)
    assert.equal(answer.status, 201, await answer.text())
    return digest
  }

  putManifest(bytes: Uint8Array, reference: string, repository = 'team/app'): Promise<Response> {
    const headers = { 'content-type': OCI_MANIFEST }
    const init = { method: 'PUT', body: Buffer.from(bytes), headers }
    return this.send(`${repository}/manifests/${reference}`, init)
  }

  /** Pushes an image of a config and one layer, which differs from others by its salt. */
  async push(
    salt: string,
    {
      tag,
      layer = Buffer.from(`layer ${salt}`),
      repository = 'team/app',
      subject,
    }: {
      readonly tag?: string
      readonly layer?: Uint8Array
      readonly repository?: string
      readonly subject?: Digest
    } = {},
  ): Promise<PushedImage> {
    const config = await this.pushBlob(Buffer.from(`{"config":"${salt}"}`), repository)
    const layers = [await this.pushBlob(layer, repository)]
    const bytes = imageOf({ config, layers, ...(subject === undefined ? {} : { subject }) })
    const manifest = digestOf(bytes)
    const answer = await this.putManifest(bytes, tag ?? manifest, repository)
    assert.equal(answer.status, 201, await answer.text())
    return { manifest, config, layers }
  }

  /** The digest of the manifest that a tag refers to; undefined when the answer is 404. */
  async tag(tag: string, repository = 'team/app'): Promise<string | undefined> {
    const answer = await this.send(`${repository}/manifests/${tag}`, { headers: { accept: OCI_MANIFEST } })
    const bytes = Buffer.from(await answer.arrayBuffer())
    if (answer.status === 404) return undefined
    assert.equal(answer.status, 200, bytes.toString())
    assert.equal(answer.headers.get('docker-content-digest'), digestOf(bytes))
    return digestOf(bytes)
  }

  async status(path: string, method = 'GET'): Promise<number> {
    const answer = await this.send(path, { method, headers: { accept: OCI_MANIFEST } })
    await answer.arrayBuffer()
    return answer.status
  }

  /** Reads the manifest and all blobs of an image, and verifies them. */
  async pull({ manifest, config, layers }: PushedImage, repository = 'team/app'): Promise<void> {
    const parts = [`manifests/${manifest}`, ...[config, ...layers].map((digest) => `blobs/${digest}`)]
    for (const path of parts) {
      const answer = await this.send(`${repository}/${path}`, { headers: { accept: OCI_MANIFEST } })
      assert.equal(answer.status, 200, `${path}: ${answer.headers.get('cache-status')}`)
      const digest = digestOf(Buffer.from(await answer.arrayBuffer()))
      assert.ok(path.endsWith(digest), `${path} is ${digest}`)
    }
  }
}

/** How often the bytes of a content were read from the bucket, by ranges or whole. */
export function reads(fake: FakeS3, digest: string): number {
  const hex = digest.split(':')[1] ?? ''
  return fake.requests.filter(({ method, key }) => method === 'GET' && key.endsWith(`/${hex}/data`)).length
}
