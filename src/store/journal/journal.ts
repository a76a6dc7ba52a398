import { constants } from 'node:fs'
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FILE_MODE, ignore, syncFolder } from '../files/layout.ts'
import { encodeRecord, type JournalRecord } from './record.ts'

/** What waits to be written is bounded. A journal that lacks it is written again from the index. */
const MOST_WAITING_CHARS = 16 * 1024 * 1024
/** Lines of a new journal are written together. */
const PIECE_CHARS = 256 * 1024
/** A journal is written again when it is this much longer than twice what it was then. */
const MOST_GROWTH_BYTES = 4 * 1024 * 1024
const SYNC_MS = 1000
/** Records that come within this time are written together. */
const WRITE_MS = 20
const DRAFT_SUFFIX = '.new'

/**
 * The changes of what is hosted, in a file beside the index. Nobody waits for a record to be written: the index has it already,
 * synced. A failure to write makes the journal incomplete, until it is written again from the index.
 */
export class HostedJournal {
  readonly path: string
  readonly #syncMs: number
  #file: FileHandle | undefined
  #isComplete = false
  /** The size of the journal now, and when it was last written as a whole. */
  #size = 0
  #baseSize = 0
  #waiting: string[] = []
  #waitingChars = 0
  /** While a new journal is written: the lines that have come since it was begun, and how long they are. */
  #since: { readonly lines: string[]; chars: number } | undefined
  #work: Promise<void> = Promise.resolve()
  #writeTimer: NodeJS.Timeout | undefined
  #syncTimer: NodeJS.Timeout | undefined

  constructor(path: string, { syncMs = SYNC_MS } = {}) {
    this.path = path
    this.#syncMs = syncMs
  }

  /** The journal has all that the index has, or will have it soon. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  get baseSize(): number {
    return this.#baseSize
  }

  /** It should be written again: it lacks something, or has become much longer than it need be. */
  get isDue(): boolean {
    return !this.#isComplete || this.#size > 2 * this.#baseSize + MOST_GROWTH_BYTES
  }

  /** Continues the journal of the last run, which was complete. */
  async resume(baseSize: number): Promise<void> {
    this.#size = (await stat(this.path).catch(ignore('ENOENT')))?.size ?? 0
    this.#baseSize = baseSize
    this.#isComplete = true
  }

  append(records: readonly JournalRecord[]): void {
    const text = records.map(encodeRecord).join('')
    if (this.#since !== undefined) {
      this.#since.chars += text.length
      // A journal that lacks them is not put in place.
      if (this.#since.chars <= MOST_WAITING_CHARS) this.#since.lines.push(text)
      else this.#since.lines.length = 0
    }
    if (this.#waitingChars + text.length > MOST_WAITING_CHARS) {
      this.#isComplete = false
      return
    }
    this.#waiting.push(text)
    this.#waitingChars += text.length
    this.#writeTimer ??= setTimeout(() => void this.#inTurn(() => this.#writeWaiting()), WRITE_MS).unref()
  }

  /** Writes the journal again. `records` gives what the index has, in one pass. Rejects when that fails; the old one stays. */
  async rewrite(records: () => AsyncIterable<JournalRecord>): Promise<void> {
    const since = { lines: [], chars: 0 }
    this.#since = since
    const draft = this.path + DRAFT_SUFFIX
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW
    const file = await open(draft, flags, FILE_MODE)
    try {
      let piece = ''
      for await (const record of records()) {
        piece += encodeRecord(record)
        if (piece.length < PIECE_CHARS) continue
        await file.writeFile(piece)
        piece = ''
      }
      await file.writeFile(piece)
      await this.#inTurn(() => this.#replaceBy(file, draft, since))
    } catch (error) {
      await file.close().catch(() => {})
      await unlink(draft).catch(() => {})
      throw error
    } finally {
      this.#since = undefined
    }
  }

  /** Writes and syncs what is waiting. */
  async close(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#writeWaiting()
      await this.#sync()
      await this.#closeFile()
    })
  }

  async #replaceBy(
    file: FileHandle,
    draft: string,
    since: { readonly lines: readonly string[]; readonly chars: number },
  ): Promise<void> {
    if (since.chars > MOST_WAITING_CHARS)
      throw new Error('too much has changed while the journal was written')
    const text = since.lines.join('')
    await file.writeFile(text)
    await file.datasync()
    await rename(draft, this.path)
    await syncFolder(dirname(this.path))
    await this.#closeFile()
    this.#file = file
    this.#size = (await file.stat()).size
    this.#baseSize = this.#size
    // What waits is among the lines since then.
    this.#waiting = []
    this.#waitingChars = 0
    this.#isComplete = true
  }

  async #writeWaiting(): Promise<void> {
    clearTimeout(this.#writeTimer)
    this.#writeTimer = undefined
    const text = this.#waiting.join('')
    this.#waiting = []
    this.#waitingChars = 0
    if (text === '') return
    try {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW
      this.#file ??= await open(this.path, flags, FILE_MODE)
      await this.#file.writeFile(text)
      this.#size += Buffer.byteLength(text)
      this.#syncTimer ??= setTimeout(() => void this.#inTurn(() => this.#sync()), this.#syncMs).unref()
    } catch {
      this.#isComplete = false
      await this.#closeFile()
    }
  }

  async #sync(): Promise<void> {
    clearTimeout(this.#syncTimer)
    this.#syncTimer = undefined
    try {
      await this.#file?.datasync()
    } catch {
      this.#isComplete = false
      await this.#closeFile()
    }
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close().catch(() => {})
  }

  /** Runs one step after another on the file. */
  #inTurn(step: () => Promise<void>): Promise<void> {
    const work = this.#work.then(step)
    this.#work = work.catch(() => {})
    return work
  }
}
