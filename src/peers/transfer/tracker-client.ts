import { onAbort } from '../../lib/async/abort.ts'
import { Deferred } from '../../lib/async/deferred.ts'
import { type Events, publish } from '../../observe/events.ts'
import type { Want } from '../../ports/source.ts'
import type { MemberId } from '../identity/member.ts'
import type { JoinRequest, TrackerSession } from '../tracker/session.ts'
import type { Contact, Instruction, Progress } from '../wire/messages.ts'
import type { Table } from './tracker-session.ts'

/** What to do to get a digest: take it from this peer; ask upstream, for all or because nobody here can help; or wait. */
export type Course =
  | { readonly do: 'take'; readonly parent: Contact }
  | { readonly do: 'fetch' }
  | { readonly do: 'wait' }

export interface GuideOptions {
  readonly want: Want
  /** Owners of what is wanted, the likeliest first, as far as is known now. */
  readonly tables: () => readonly Table[]
  /** Called for each owner: it knows nothing of what the one before was told. */
  readonly coming: () => JoinRequest
  readonly onMarks: (first: number, marks: Uint8Array) => void
}

/** When so many owners of one digest are gone or cannot be reached, one is left to oneself. */
const MOST_TABLES = 4

/** Keeps whoever wants a digest at the table of its owner, and when that is gone, at the next one's. */
export class Guide {
  readonly #options: GuideOptions
  readonly #closing = new AbortController()
  readonly #tried = new Set<MemberId>()
  #place: TrackerSession | undefined
  #owner: Pick<Table, 'id' | 'name' | 'isSelf'> | undefined
  #course: Course | undefined
  /** Nobody says anything any more. */
  #isLeft = false
  #hasMovedOn = false
  #running: Promise<void>
  readonly #waiting = new Set<() => void>()

  constructor(options: GuideOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** At whose table this is. */
  get owner(): MemberId | undefined {
    return this.#owner?.id
  }

  /** Nobody at the first owner's table could bring it. */
  get hasMovedOn(): boolean {
    return this.#hasMovedOn
  }

  /** The course in force, as soon as there is one other than `known`. Rejects with the signal's reason. */
  async next(known: Course | undefined, signal: AbortSignal): Promise<Course> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#course !== undefined && this.#course !== known) return this.#course
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          stop()
          this.#waiting.delete(wake)
          resolve()
        }
        const stop = onAbort(signal, wake)
        this.#waiting.add(wake)
      })
    }
  }

  /** This course, where it is still in force, has come to nothing: only what the owner says from now on counts. */
  renounce(course = this.#course): void {
    if (this.#course !== course) return
    this.#course = undefined
    if (this.#isLeft) this.#set({ do: 'fetch' })
  }

  tell(news: Progress): void {
    this.#place?.report(news)
  }

  /** Once, when nobody here can bring it: to the next owner. False when there is none. */
  moveOn(): boolean {
    if (!this.#isLeft || this.#hasMovedOn || this.#next() === undefined) return false
    this.#hasMovedOn = true
    this.#isLeft = false
    this.#course = undefined
    this.#running = this.#running.then(() => this.#run())
    return true
  }

  close(): void {
    this.#closing.abort()
    this.#place?.leave()
    this.#place = undefined
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted && !this.#isLeft && this.#tried.size < MOST_TABLES) {
      const table = this.#next()
      if (table === undefined) break
      this.#tried.add(table.id)
      this.#owner = table
      await this.#sitAt(table, signal)
    }
    if (signal.aborted) return
    this.#owner = undefined
    this.#end('unguided')
  }

  #next(): Table | undefined {
    return this.#options.tables().find(({ id }) => !this.#tried.has(id))
  }

  /** Until the table is gone. */
  async #sitAt(table: Table, signal: AbortSignal): Promise<void> {
    const { want, coming } = this.#options
    const abandoned = new Deferred<void>()
    const guest = {
      onInstruction: (guidance: Instruction) => this.#hear(guidance),
      onEnded: abandoned.resolve,
    }
    try {
      const place = await table.sit(want, coming(), guest, { signal })
      this.#place = place
      if (signal.aborted) place.leave()
      else await abandoned.promise
    } catch {
      // It cannot be reached: on to the next one.
    } finally {
      this.#place = undefined
    }
  }

  #hear(guidance: Instruction): void {
    switch (guidance.is) {
      case 'marks':
        this.#options.onMarks(guidance.first, Buffer.from(guidance.marks, 'base64'))
        break
      case 'take':
        this.#follow(guidance.parent)
        break
      case 'fetch':
      case 'alone':
        this.#tell(guidance.is)
        this.#set({ do: 'fetch' })
        break
      case 'end':
        this.#end('end')
        break
      case 'wait':
        this.#tell('wait')
        this.#set({ do: 'wait' })
        break
      case 'beat':
      // The end of the table comes after it.
      case 'refused':
    }
  }

  /** A new owner may know of no better parent than the one there is. */
  #follow(parent: Contact): void {
    const isSame = this.#course?.do === 'take' && this.#course.parent.id === parent.id
    if (isSame) return
    this.#tell('take', parent.name)
    this.#set({ do: 'take', parent })
  }

  #end(why: 'end' | 'unguided'): void {
    if (this.#isLeft) return
    this.#tell(why)
    this.#isLeft = true
    this.#owner = undefined
    this.#set({ do: 'fetch' })
  }

  #tell(instruction: Events['peer.instructed']['instruction'], from?: string): void {
    const { digest } = this.#options.want
    const owner = this.#owner && { name: this.#owner.name, self: this.#owner.isSelf }
    publish('peer.instructed', { digest, owner, instruction, from })
  }

  #set(course: Course): void {
    this.#course = course
    for (const wake of [...this.#waiting]) wake()
  }
}
