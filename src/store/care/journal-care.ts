import { publish } from '../../observe/events.ts'
import type { HostedCatalog } from '../../ports/hosted/hosted-catalog.ts'
import type { Database } from '../database/database.ts'
import type { BlobIndex } from '../index/blob-index.ts'
import type { HostedJournal } from '../journal/journal.ts'
import type { JournalRecord } from '../journal/record.ts'

/** The size that a complete journal had when it was last written as a whole; `OPEN` while an agent runs. */
const STATE_KEY = 'journal'
const OPEN = 'open'
/** How often it is looked whether the journal must be written again. */
const CHECK_MS = 60_000

interface JournalCareOptions {
  readonly database: Database
  readonly journal: HostedJournal
  readonly index: Pick<BlobIndex, 'get' | 'bytes' | 'links'>
  readonly catalog: Pick<HostedCatalog, 'links' | 'tags' | 'repositories'>
}

/** Whether a journal belongs to this index: its state, as the last run has left it. */
export async function journalState(database: Database): Promise<string | undefined> {
  return database.get(STATE_KEY)
}

/** From now on no journal belongs to this index, until what is hosted has come back and `JournalCare` is opened. */
export async function forgetJournalState(database: Database): Promise<void> {
  await database.batch().del(STATE_KEY).write({ sync: true })
}

/** Keeps the journal of what is hosted complete: writes it again from the index when it is not, or has become long. */
export class JournalCare {
  readonly #options: JournalCareOptions
  readonly #closing = new AbortController()
  readonly #timer: NodeJS.Timeout
  #writing: Promise<void> | undefined

  constructor(options: JournalCareOptions, { checkMs = CHECK_MS } = {}) {
    this.#options = options
    this.#timer = setInterval(() => this.#check(), checkMs).unref()
  }

  /** To be called once, before anything is pushed. `isMended`: the index may lack what the journal had. */
  async open({ isMended }: { isMended: boolean }): Promise<void> {
    const { database, journal, index } = this.#options
    const state = await journalState(database)
    const baseSize = Number(state ?? Number.NaN)
    const isNew = index.links.usage.blobs === 0
    const isComplete = !isMended && (isNew || (state !== OPEN && baseSize >= 0))
    // On a full disk the index says still that the journal is complete: then it is written again when there is room.
    const isMarked = await this.#markOpen().then(
      () => true,
      () => false,
    )
    if (isComplete && isMarked) await journal.resume(isNew ? 0 : baseSize)
    this.#check()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#closing.abort()
    await this.#writing
    const { database, journal } = this.#options
    await journal.close()
    if (journal.isComplete) await database.put(STATE_KEY, String(journal.baseSize))
  }

  /** The first synced write of the index makes this durable, before anything is in the index that the journal lacks. */
  #markOpen(): Promise<void> {
    return this.#options.database.put(STATE_KEY, OPEN)
  }

  #check(): void {
    if (this.#writing !== undefined || !this.#options.journal.isDue) return
    this.#writing = this.#rewrite().finally(() => {
      this.#writing = undefined
    })
  }

  async #rewrite(): Promise<void> {
    try {
      await this.#markOpen()
      await this.#options.journal.rewrite(() => this.#records())
    } catch (error) {
      if (this.#closing.signal.aborted) return
      const why = error instanceof Error ? error.message : String(error)
      publish('store.journalFailed', { path: this.#options.journal.path, why })
    }
  }

  async *#records(): AsyncGenerator<JournalRecord> {
    const { catalog, index } = this.#options
    for (const repository of await catalog.repositories()) {
      for await (const { digest, kind, mediaType } of catalog.links(repository)) {
        this.#closing.signal.throwIfAborted()
        const bytes = (await index.get(digest))?.isInline ? await index.bytes(digest) : undefined
        yield { do: 'link', repository, digest, kind, mediaType, bytes }
      }
    }
    for await (const { repository, tag, digest, mediaType, pushedAt } of catalog.tags()) {
      this.#closing.signal.throwIfAborted()
      yield { do: 'tag', repository, tag, digest, mediaType, pushedAt }
    }
  }
}
