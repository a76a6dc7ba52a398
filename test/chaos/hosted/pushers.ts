import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import type { SeededRandom } from '../../../testkit/seeded-random.ts'
import { imageOf } from '../../hosted/lab.ts'

const REPOSITORY = 'team/app'
const PUSHERS = 4
const TAGS_OF_EACH = 3
/** Half of the blobs are larger than what stays in memory until it is verified. */
const MOST_BLOB_BYTES = 130_000
const NONE = '-'

/** An upload that was begun, and how many bytes of it were answered for. */
interface Begun {
  readonly path: string
  readonly bytes: Buffer
  sent: number
}

/** Clients that push images, move and delete tags, and begin uploads; and what they were answered. */
export class Pushers {
  pushed = 0
  deleted = 0
  readonly #random: SeededRandom
  /** What each tag may refer to: the last answered digest, and what a request without an answer has tried. */
  readonly #tags = new Map<string, Set<string>>()
  readonly #uploads = new Map<number, Begun>()

  constructor(random: SeededRandom) {
    this.#random = random
  }

  /** All clients push until so many requests were answered; then `kill` is called, and the others are broken off. */
  async pushUntil(address: string, answers: number, kill: () => void): Promise<void> {
    let left = answers
    let isKilled = false
    const answered = (): void => {
      if (left-- > 0 || isKilled) return
      isKilled = true
      kill()
    }
    if (answers === 0) answered()
    const work = async (pusher: number): Promise<void> => {
      while (!isKilled) {
        try {
          await this.#step(`http://${address}/v2/${REPOSITORY}`, pusher)
        } catch (error) {
          // A kill breaks off what is under way; a wrong answer is a failure.
          if (!isKilled || error instanceof assert.AssertionError) throw error
          return
        }
        answered()
      }
    }
    await Promise.all(Array.from({ length: PUSHERS }, (_, pusher) => work(pusher)))
  }

  /** Compares what an agent has with what was answered, and ends the uploads: there, or at another agent that has taken them. */
  async inspect(address: string, uploadsAt = address): Promise<void> {
    const base = `http://${address}/v2/${REPOSITORY}`
    const list = await fetch(`${base}/tags/list`)
    const { tags = [] } = (await list.json()) as { tags?: string[] }
    for (const tag of new Set([...this.#tags.keys(), ...tags])) {
      const found = tags.includes(tag) ? await assertWhole(base, tag) : NONE
      const possible = [...(this.#tags.get(tag) ?? [NONE])]
      assert.ok(possible.includes(found), `${tag} is ${found} instead of ${possible.join(' or ')}`)
      this.#tags.set(tag, new Set([found]))
    }
    for (const [pusher, upload] of this.#uploads) {
      this.#uploads.delete(pusher)
      await endUpload(`http://${uploadsAt}/v2/${REPOSITORY}`, upload)
    }
  }

  async #step(base: string, pusher: number): Promise<void> {
    const random = this.#random
    const tag = `t${pusher}-${random.between(1, TAGS_OF_EACH)}`
    if (random.chance(0.15)) return this.#delete(base, tag)
    if (random.chance(0.15) && !this.#uploads.has(pusher)) return this.#beginUpload(base, pusher)
    const layer = randomBytes(random.between(1, MOST_BLOB_BYTES))
    const config = Buffer.from(JSON.stringify({ salt: random.fraction() }))
    for (const bytes of [layer, config]) {
      const url = `${base}/blobs/uploads/?digest=${digestOf(bytes)}`
      await expected(201, url, { method: 'POST', body: bytes })
    }
    const manifest = imageOf({ config: digestOf(config), layers: [digestOf(layer)] })
    this.#mayBe(tag, digestOf(manifest))
    const headers = { 'content-type': OCI_MANIFEST }
    await expected(201, `${base}/manifests/${tag}`, { method: 'PUT', body: manifest, headers })
    this.#tags.set(tag, new Set([digestOf(manifest)]))
    this.pushed += 1
  }

  async #delete(base: string, tag: string): Promise<void> {
    this.#mayBe(tag, NONE)
    const { status } = await fetch(`${base}/manifests/${tag}`, { method: 'DELETE' })
    assert.ok(status === 202 || status === 404, `DELETE ${tag} is answered with ${status}`)
    this.#tags.set(tag, new Set([NONE]))
    if (status === 202) this.deleted += 1
  }

  async #beginUpload(base: string, pusher: number): Promise<void> {
    const begun = await expected(202, `${base}/blobs/uploads/`, { method: 'POST' })
    const path = begun.headers.get('location') ?? assert.fail()
    const bytes = randomBytes(this.#random.between(2, MOST_BLOB_BYTES))
    const upload: Begun = { path, bytes, sent: 0 }
    this.#uploads.set(pusher, upload)
    const half = bytes.subarray(0, bytes.length >> 1)
    await expected(202, new URL(path, base).href, { method: 'PATCH', body: half })
    upload.sent = half.length
  }

  #mayBe(tag: string, value: string): void {
    this.#tags.set(tag, new Set([...(this.#tags.get(tag) ?? [NONE]), value]))
  }
}

async function expected(status: number, url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init)
  assert.equal(response.status, status, `${init.method} ${url}: ${await response.text()}`)
  return response
}

/** Reads an image with all its parts, and gives its digest. */
async function assertWhole(base: string, tag: string): Promise<string> {
  const answer = await expected(200, `${base}/manifests/${tag}`, { headers: { accept: OCI_MANIFEST } })
  const digest = answer.headers.get('docker-content-digest') ?? ''
  const manifest = await fetch(`${base}/manifests/${digest}`, { headers: { accept: OCI_MANIFEST } })
  const bytes = Buffer.from(await manifest.arrayBuffer())
  assert.equal(digestOf(bytes), digest)
  const { config, layers } = JSON.parse(bytes.toString()) as {
    config: { digest: string }
    layers: { digest: string }[]
  }
  for (const part of [config, ...layers]) {
    const blob = await fetch(`${base}/blobs/${part.digest}`)
    assert.equal(blob.status, 200, `${part.digest} of ${tag} is gone`)
    assert.equal(digestOf(Buffer.from(await blob.arrayBuffer())), part.digest)
  }
  return digest
}

/** Sends what an upload lacks: all that was answered for is there. */
async function endUpload(base: string, { path, bytes, sent }: Begun): Promise<void> {
  const url = new URL(path, base)
  const status = await fetch(url)
  assert.equal(status.status, 204, 'an upload is gone')
  const range = status.headers.get('range') ?? ''
  const has = range === '0-0' && sent === 0 ? 0 : Number(range.split('-')[1]) + 1
  assert.ok(has >= sent, `an upload has ${has} bytes, and ${sent} were answered for`)
  url.searchParams.set('digest', digestOf(bytes))
  const body = bytes.subarray(has)
  const headers = { 'content-range': `${has}-${bytes.length - 1}` }
  await expected(201, url.href, { method: 'PUT', body, headers })
}
