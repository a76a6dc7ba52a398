import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'
import type { Digest } from '../../../src/oci/digest.ts'
import { sha256 } from '../../../testkit/registries/faulty/content.ts'
import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import type { SeededRandom } from '../../../testkit/seeded-random.ts'
import type { PullResult } from './pull.ts'

export const NAMESPACE = 'up.test'
const REPOSITORY = 'app'
const POOL_BYTES = 48 * 1024 * 1024

export interface Item {
  readonly digest: Digest
  readonly kind: 'manifest' | 'blob'
  readonly path: string
  /** The path of a manifest by its tag. */
  readonly tagPath: string | undefined
  readonly size: number
  /** Undefined for a manifest, of which no ranges are requested. */
  readonly bytes: Uint8Array | undefined
  /** Whether upstream has sent wrong bytes of it. A range that is answered before the digest is verified may contain them. */
  wasCorrupted: boolean
}

/** Makes any number of different blobs. All are slices of the same random bytes, to save memory. */
export class Contents {
  readonly #random: SeededRandom
  readonly #upstream: FaultyUpstream
  readonly #pool: Buffer
  #tags = 0

  constructor(upstream: FaultyUpstream, random: SeededRandom) {
    this.#upstream = upstream
    this.#random = random
    const key = createHash('sha256').update(`content ${random.seed}`).digest()
    this.#pool = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(POOL_BYTES))
  }

  blob(least: number, most: number): Item {
    const bytes = this.#bytes(least, most)
    return this.#item(this.#upstream.addBlob(bytes), bytes)
  }

  /** The manifest, the config and the layers. */
  image(layers: number, least: number, most: number): Item[] {
    const contents = Array.from({ length: layers }, () => this.#bytes(least, most))
    this.#tags += 1
    const tag = `t${this.#tags}`
    const added = this.#upstream.addImage(REPOSITORY, tag, contents)
    const path = pathOf(added.manifest, 'manifest')
    return [
      {
        digest: added.manifest,
        kind: 'manifest',
        path,
        tagPath: path.replace(added.manifest, tag),
        size: 0,
        bytes: undefined,
        wasCorrupted: false,
      },
      ...added.layers.map((digest, at) => this.#item(digest, contents[at] ?? Buffer.alloc(0))),
    ]
  }

  #item(digest: Digest, bytes: Uint8Array): Item {
    const path = pathOf(digest, 'blob')
    return { digest, kind: 'blob', path, tagPath: undefined, size: bytes.length, bytes, wasCorrupted: false }
  }

  #bytes(least: number, most: number): Buffer {
    const size = this.#random.between(least, most)
    const start = this.#random.between(0, POOL_BYTES - size)
    return this.#pool.subarray(start, start + size)
  }
}

function pathOf(digest: Digest, kind: 'manifest' | 'blob'): string {
  return `/v2/${NAMESPACE}/${REPOSITORY}/${kind === 'blob' ? 'blobs' : 'manifests'}/${digest}`
}

export function isHit({ headers }: PullResult): boolean {
  return headers['cache-status'] === 'leat; hit'
}

/**
 * Asserts that the answer is one that a client may get while upstream and the agent fail. Returns whether it has all bytes
 * that were requested.
 */
export function checkAnswer(item: Item, got: PullResult): boolean {
  const { status, headers, body, complete } = got
  const about = `${item.path}: ${status}, ${body.length} bytes of ${headers['content-length']}, ${headers['cache-status']}`
  if (status === 0) return false
  if (status === 502 || status === 503) return false
  assert.ok(status === 200 || status === 206, about)
  if (!complete) return false
  if (status === 200) {
    assert.equal(sha256(body), item.digest, about)
    return true
  }
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '')
  assert.ok(range !== null && item.bytes !== undefined, about)
  const [start, last, size] = range.slice(1).map(Number)
  assert.ok(start !== undefined && last !== undefined && size === item.size, about)
  assert.equal(body.length, last + 1 - start, about)
  if (!item.wasCorrupted || isHit(got)) {
    assert.ok(body.equals(item.bytes.subarray(start, last + 1)), `${about}: other bytes`)
  }
  return true
}
