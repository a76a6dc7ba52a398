import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'
import type { Digest } from '../../../src/oci/digest.ts'
import { sha256 } from '../../../testkit/registries/faulty/content.ts'
import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import type { Dice } from '../../../testkit/seeded-random.ts'
import type { Got } from './pull.ts'

export const NAMESPACE = 'up.test'
const REPOSITORY = 'app'
const POOL_BYTES = 48 * 1024 * 1024

export interface Item {
  readonly digest: Digest
  readonly kind: 'manifest' | 'blob'
  readonly path: string
  /** Where it may be asked for by name as well. */
  readonly tagPath: string | undefined
  readonly size: number
  /** Pieces of it are asked for only of blobs. */
  readonly bytes: Uint8Array | undefined
  /** Upstream has sent wrong bytes of it: a piece that was let through before the end may hold some. */
  spoilt: boolean
}

/** Any number of different blobs in the memory of one: each is another piece of the same random bytes. */
export class Contents {
  readonly #dice: Dice
  readonly #upstream: FaultyUpstream
  readonly #pool: Buffer
  #tags = 0

  constructor(upstream: FaultyUpstream, dice: Dice) {
    this.#upstream = upstream
    this.#dice = dice
    const key = createHash('sha256').update(`content ${dice.seed}`).digest()
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
        spoilt: false,
      },
      ...added.layers.map((digest, at) => this.#item(digest, contents[at] ?? Buffer.alloc(0))),
    ]
  }

  #item(digest: Digest, bytes: Uint8Array): Item {
    const path = pathOf(digest, 'blob')
    return { digest, kind: 'blob', path, tagPath: undefined, size: bytes.length, bytes, spoilt: false }
  }

  #bytes(least: number, most: number): Buffer {
    const size = this.#dice.between(least, most)
    const start = this.#dice.between(0, POOL_BYTES - size)
    return this.#pool.subarray(start, start + size)
  }
}

function pathOf(digest: Digest, kind: 'manifest' | 'blob'): string {
  return `/v2/${NAMESPACE}/${REPOSITORY}/${kind === 'blob' ? 'blobs' : 'manifests'}/${digest}`
}

export function isHit({ headers }: Got): boolean {
  return headers['cache-status'] === 'leat; hit'
}

/** Holds an answer to what a client may get at all while upstream and agent fail; true when it has got all it asked for. */
export function judge(item: Item, got: Got): boolean {
  const { status, headers, body, complete } = got
  const what = `${item.path}: ${status}, ${body.length} bytes of ${headers['content-length']}, ${headers['cache-status']}`
  if (status === 0) return false
  if (status === 502 || status === 503) return false
  assert.ok(status === 200 || status === 206, what)
  if (!complete) return false
  if (status === 200) {
    assert.equal(sha256(body), item.digest, what)
    return true
  }
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '')
  assert.ok(range !== null && item.bytes !== undefined, what)
  const [start, last, size] = range.slice(1).map(Number)
  assert.ok(start !== undefined && last !== undefined && size === item.size, what)
  assert.equal(body.length, last + 1 - start, what)
  if (!item.spoilt || isHit(got)) {
    assert.ok(body.equals(item.bytes.subarray(start, last + 1)), `${what}: other bytes`)
  }
  return true
}
