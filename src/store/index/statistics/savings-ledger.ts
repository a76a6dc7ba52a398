import { type Database, keysUnder, pages, SEPARATOR } from '../../database/database.ts'

/** Older days are removed at the start. */
const MOST_DAYS = 400
const DAY_MS = 86_400_000
const KINDS = ['clients', 'peers', 'upstream'] as const
const DAY = /^\d{4}-\d\d-\d\d$/

/** Bytes of one day, image, zone and kind; see observe/records/savings.ts. */
export interface LedgerEntry {
  readonly day: string
  readonly registry: string
  readonly image: string
  readonly zone: string
  readonly kind: (typeof KINDS)[number]
  readonly bytes: number
}

/** The counts of saved bytes, in the index. Writes are not synced: a power cut loses the last ones. */
export class IndexSavingsLedger {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async add(entries: readonly LedgerEntry[]): Promise<void> {
    const keys = entries.map(keyOf)
    const before: (string | undefined)[] = await this.#database.getMany(keys)
    const batch = this.#database.batch()
    for (const [at, key] of keys.entries()) {
      batch.put(key, String(bytesIn(before[at]) + (entries[at]?.bytes ?? 0)))
    }
    await batch.write()
  }

  /** Gives the entries of the last days, and removes older ones. */
  async *entries(): AsyncGenerator<LedgerEntry> {
    const first = new Date(Date.now() - MOST_DAYS * DAY_MS).toISOString().slice(0, 10)
    for await (const [key, text] of pages(this.#database, keysUnder('saved'))) {
      const [, day = '', registry = '', image = '', zone = '', kindText] = key.split(SEPARATOR)
      const kind = KINDS.find((known) => known === kindText)
      if (day < first || !DAY.test(day) || kind === undefined) await this.#database.del(key)
      else yield { day, registry, image, zone, kind, bytes: bytesIn(text) }
    }
  }
}

function keyOf({ day, registry, image, zone, kind }: LedgerEntry): string {
  return ['saved', day, registry, image, zone, kind].join(SEPARATOR)
}

function bytesIn(text: string | undefined): number {
  const bytes = Number(text ?? 0)
  return Number.isFinite(bytes) && bytes > 0 ? bytes : 0
}
