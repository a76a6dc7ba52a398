import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Database, keysUnder, SEPARATOR } from '../database/database.ts'
import { decodePin, type PinRecord, withName, withoutName } from './pin-record.ts'

export interface Pin {
  readonly digest: Digest
  /** When the pin was set, in milliseconds since the epoch. */
  readonly pinnedAt: number
  /** By which tags it was set; the digest, if it was set by that. */
  readonly names: readonly string[]
}

interface BatchChanges {
  put(key: string, value: string): unknown
}

type ReferencesOf = (manifest: Digest) => Promise<readonly Digest[]>

/**
 * The pins, and the content that they retain: pinned digests, and all that a pinned manifest references, whether it is stored
 * already or later. The index has both directions: `kept!<digest>!<pinned>` tells whether a blob may be evicted,
 * `keeps!<pinned>!<digest>` what to release when a pin is removed.
 */
export class Pins {
  readonly #database: Database
  /** How many pins there are; undefined until they are counted. Without pins nothing else needs to be looked up. */
  #count: number | undefined
  #retainedBytes: number | undefined
  /** Grows with every change: a count that began before a change is not remembered. */
  #changes = 0
  #changing: Promise<void> = Promise.resolve()

  constructor(database: Database) {
    this.#database = database
  }

  /** Sets a pin by a name, or by the digest. It is durable when the call resolves. */
  pin(digest: Digest, name: string | undefined, childrenOf: ReferencesOf): Promise<void> {
    return this.#inTurn(async () => {
      const before = await this.#record(digest)
      const record = withName(before, name)
      if (record === undefined) return
      const batch = this.#database.batch().put(pinKey(digest), JSON.stringify(record))
      if (before === undefined) await this.#retainAll(digest, digest, new Set(), childrenOf, batch)
      else await batch.write({ sync: true })
    })
  }

  /** Ends a pin for a name: the pins of other names stay. Without a name, all end. Durable when the call resolves. */
  unpin(digest: Digest, name?: string): Promise<void> {
    return this.#inTurn(async () => {
      const before = await this.#record(digest)
      const record = before && withoutName(before, name)
      if (record === undefined) await this.#removePin(digest)
      else await this.#database.batch().put(pinKey(digest), JSON.stringify(record)).write({ sync: true })
    })
  }

  async isPinned(digest: Digest): Promise<boolean> {
    return (await this.#record(digest)) !== undefined
  }

  async *list(): AsyncGenerator<Pin> {
    for (const [key, text] of await this.#database.iterator(keysUnder('pin')).all()) {
      const digest = parseDigest(key.slice(key.indexOf(SEPARATOR) + 1))
      if (digest === undefined) continue
      const { at, names, byDigest } = decodePin(text)
      yield { digest, pinnedAt: at, names: byDigest ? [digest, ...names] : names }
    }
  }

  /** Lists the pins that retain a blob: the blob itself, if it is pinned, and pinned manifests. */
  async pinsRetaining(digest: Digest): Promise<readonly Digest[]> {
    if ((await this.#pinCount()) === 0) return []
    const keys = await this.#database.keys(keysUnder('kept', digest)).all()
    return keys.flatMap((key) => parseDigest(key.slice(key.lastIndexOf(SEPARATOR) + 1)) ?? [])
  }

  async isRetained(digest: Digest): Promise<boolean> {
    if ((await this.#pinCount()) === 0) return false
    const keys = await this.#database.keys({ ...keysUnder('kept', digest), limit: 1 }).all()
    return keys.length > 0
  }

  /** A manifest that these pins retain is being stored: they retain all that it references, too. */
  async extendTo(
    changes: BatchChanges,
    pins: readonly Digest[],
    references: readonly Digest[],
    childrenOf: ReferencesOf,
  ): Promise<void> {
    if (pins.length === 0) return
    const needed = await reachableFrom(references, childrenOf, new Set())
    for (const pin of pins) for (const each of needed) putRetained(changes, each, pin)
  }

  /**
   * To be called after a manifest was stored. `before`: the pins that retained it then. Pins may have been set and removed
   * meanwhile, and referenced manifests may have been stored.
   */
  async settleAfterPut(manifest: Digest, before: readonly Digest[], childrenOf: ReferencesOf): Promise<void> {
    if (before.length === 0 && (await this.pinsRetaining(manifest)).length === 0) return
    await this.#inTurn(async () => {
      for (const pin of before) if (!(await this.isPinned(pin))) await this.#removePin(pin)
      for (const pin of await this.pinsRetaining(manifest)) {
        await this.#retainAll(pin, manifest, await this.#retainedBy(pin), childrenOf)
      }
    })
  }

  /** Retained content was stored or removed: its size must be computed anew. */
  retainedChanged(): void {
    this.#changes += 1
    this.#retainedBytes = undefined
  }

  /** Gives the size of all stored content that pins retain. */
  async retainedBytes(sizesOf: (digests: readonly Digest[]) => Promise<readonly number[]>): Promise<number> {
    if ((await this.#pinCount()) === 0) return 0
    if (this.#retainedBytes !== undefined) return this.#retainedBytes
    const before = this.#changes
    let bytes = 0
    let last = ''
    const keys = this.#database.keys(keysUnder('kept'))
    try {
      for (let page = await keys.nextv(1000); page.length > 0; page = await keys.nextv(1000)) {
        const digests: Digest[] = []
        for (const key of page) {
          const [, text = ''] = key.split(SEPARATOR)
          const digest = text === last ? undefined : parseDigest(text)
          last = text
          if (digest !== undefined) digests.push(digest)
        }
        for (const size of await sizesOf(digests)) bytes += size
      }
    } finally {
      await keys.close()
    }
    if (this.#changes === before) this.#retainedBytes = bytes
    return bytes
  }

  /**
   * Writes what is reachable, then looks again until nothing is new: a manifest that is stored at the same time is found
   * either by this loop or by `settleAfterPut`.
   */
  async #retainAll(
    pin: Digest,
    from: Digest,
    known: Set<Digest>,
    childrenOf: ReferencesOf,
    batch = this.#database.batch(),
  ): Promise<void> {
    const fresh = await reachableFrom([from], childrenOf, known)
    if (fresh.length === 0) return
    for (const each of fresh) putRetained(batch, each, pin)
    await batch.write({ sync: true })
    this.#forgetCount()
    await this.#retainAll(pin, from, known, childrenOf)
  }

  async #record(digest: Digest): Promise<PinRecord | undefined> {
    const text: string | undefined = await this.#database.get(pinKey(digest))
    return text === undefined ? undefined : decodePin(text)
  }

  async #removePin(pin: Digest): Promise<void> {
    const batch = this.#database.batch().del(pinKey(pin))
    for (const kept of await this.#retainedBy(pin)) {
      batch.del(['keeps', pin, kept].join(SEPARATOR)).del(['kept', kept, pin].join(SEPARATOR))
    }
    await batch.write({ sync: true })
  }

  async #retainedBy(pin: Digest): Promise<Set<Digest>> {
    const keys = await this.#database.keys(keysUnder('keeps', pin)).all()
    return new Set(keys.flatMap((key) => parseDigest(key.slice(key.lastIndexOf(SEPARATOR) + 1)) ?? []))
  }

  #forgetCount(): void {
    this.#count = undefined
    this.retainedChanged()
  }

  async #pinCount(): Promise<number> {
    if (this.#count !== undefined) return this.#count
    const before = this.#changes
    const { length } = await this.#database.keys(keysUnder('pin')).all()
    if (this.#changes === before) this.#count = length
    return length
  }

  #inTurn(make: () => Promise<void>): Promise<void> {
    const change = this.#changing.then(make, make).finally(() => this.#forgetCount())
    this.#changing = change
    return change
  }
}

/** Finds all digests reachable from `from` that `known` lacks, and adds them to `known`. */
async function reachableFrom(
  from: readonly Digest[],
  childrenOf: ReferencesOf,
  known: Set<Digest>,
): Promise<Digest[]> {
  const fresh: Digest[] = []
  const looked = new Set<Digest>()
  const toLook = [...from]
  for (let next = toLook.pop(); next !== undefined; next = toLook.pop()) {
    if (looked.has(next)) continue
    looked.add(next)
    if (!known.has(next)) fresh.push(next)
    known.add(next)
    toLook.push(...(await childrenOf(next)))
  }
  return fresh
}

function putRetained(changes: BatchChanges, digest: Digest, pin: Digest): void {
  changes.put(['kept', digest, pin].join(SEPARATOR), '')
  changes.put(['keeps', pin, digest].join(SEPARATOR), '')
}

function pinKey(digest: Digest): string {
  return `pin${SEPARATOR}${digest}`
}
