import { type Database, keysUnder, pages, SEPARATOR } from '../../database/database.ts'

const SCALES = ['minute', 'quarter'] as const

/** A text about one span of time; see observe/records/history/history.ts. */
export interface HistoryEntry {
  readonly scale: (typeof SCALES)[number]
  readonly slot: number
  readonly text: string
}

/** What the node has done in the last day, in the index. Writes are not synced: a power cut loses the last ones. */
export class IndexHistoryLog {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async write(entries: readonly HistoryEntry[]): Promise<void> {
    const batch = this.#database.batch()
    for (const { scale, slot, text } of entries) batch.put(['history', scale, slot].join(SEPARATOR), text)
    await batch.write()
  }

  async *entries(): AsyncGenerator<HistoryEntry> {
    for await (const [key, text] of pages(this.#database, keysUnder('history'))) {
      const [, scaleText, slotText] = key.split(SEPARATOR)
      const scale = SCALES.find((known) => known === scaleText)
      if (scale !== undefined) yield { scale, slot: Number(slotText), text }
    }
  }
}
