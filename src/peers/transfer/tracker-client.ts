import { onAbort } from '../../lib/async/abort.ts'
import { Deferred } from '../../lib/async/deferred.ts'
import { type Events, publish } from '../../observe/events.ts'
import type { Want } from '../../ports/source.ts'
import type { MemberId } from '../identity/member.ts'
import type { JoinRequest, TrackerSession } from '../tracker/session.ts'
import type { Contact, Instruction, Progress } from '../wire/protocol/messages.ts'
import type { TrackerEndpoint } from './tracker-endpoint.ts'

/**
 * What this node is to do for a content: take it from a parent, fetch it from upstream, or wait. `fetch` stands for the
 * instructions `fetch` and `alone`, and for the case that no owner can help: the difference matters only to the owner.
 */
export type Assignment =
  | { readonly do: 'take'; readonly parent: Contact }
  | { readonly do: 'fetch' }
  | { readonly do: 'wait' }

export interface TrackerClientOptions {
  readonly want: Want
  /** Gives the trackers of the possible owners of the digest, the first owner first, as membership knows them now. */
  readonly trackers: () => readonly TrackerEndpoint[]
  /** Makes the request for each owner: no owner knows the progress that an earlier one got. */
  readonly joinRequest: () => JoinRequest
  readonly onCheckpoints: (first: number, checkpoints: Uint8Array) => void
}

/** After this many owners that could not be reached or have ended the session, this node asks upstream by itself. */
const MAX_OWNERS = 4

/** Keeps a tracker session with the owner of a digest. When the owner is gone, joins the tracker of the next owner. */
export class TrackerClient {
  readonly #options: TrackerClientOptions
  readonly #closing = new AbortController()
  readonly #triedOwners = new Set<MemberId>()
  #session: TrackerSession | undefined
  #owner: Pick<TrackerEndpoint, 'id' | 'name' | 'isSelf'> | undefined
  #assignment: Assignment | undefined
  /** No owner gives instructions any more. */
  #isWithoutOwner = false
  #hasChangedOwner = false
  #running: Promise<void>
  readonly #waiting = new Set<() => void>()

  constructor(options: TrackerClientOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** The owner that gives the instructions now. */
  get ownerId(): MemberId | undefined {
    return this.#owner?.id
  }

  /** `tryNextOwner` has given up the first owner's delivery plan, in which no participant could bring the content. */
  get hasChangedOwner(): boolean {
    return this.#hasChangedOwner
  }

  /** Waits for an assignment other than `known`. Rejects with the reason of the signal. */
  async nextAssignment(known: Assignment | undefined, signal: AbortSignal): Promise<Assignment> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#assignment !== undefined && this.#assignment !== known) return this.#assignment
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

  /** Drops an assignment that has failed, if it is still the current one. Only later instructions count then. */
  discard(assignment = this.#assignment): void {
    if (this.#assignment !== assignment) return
    this.#assignment = undefined
    if (this.#isWithoutOwner) this.#assign({ do: 'fetch' })
  }

  report(progress: Progress): void {
    this.#session?.report(progress)
  }

  /** Joins the next owner's plan when the first owner's has ended, once. Gives false when that is not possible. */
  tryNextOwner(): boolean {
    if (!this.#isWithoutOwner || this.#hasChangedOwner || this.#nextTracker() === undefined) return false
    this.#hasChangedOwner = true
    this.#isWithoutOwner = false
    this.#assignment = undefined
    this.#running = this.#running.then(() => this.#run())
    return true
  }

  close(): void {
    this.#closing.abort()
    this.#session?.leave()
    this.#session = undefined
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted && !this.#isWithoutOwner && this.#triedOwners.size < MAX_OWNERS) {
      const tracker = this.#nextTracker()
      if (tracker === undefined) break
      this.#triedOwners.add(tracker.id)
      this.#owner = tracker
      await this.#stayInSession(tracker, signal)
    }
    if (signal.aborted) return
    this.#owner = undefined
    this.#endInstructions('unguided')
  }

  #nextTracker(): TrackerEndpoint | undefined {
    return this.#options.trackers().find(({ id }) => !this.#triedOwners.has(id))
  }

  async #stayInSession(tracker: TrackerEndpoint, signal: AbortSignal): Promise<void> {
    const { want, joinRequest } = this.#options
    const ended = new Deferred<void>()
    const listener = {
      onInstruction: (instruction: Instruction) => this.#onInstruction(instruction),
      onEnded: ended.resolve,
    }
    try {
      const session = await tracker.join(want, joinRequest(), listener, { signal })
      this.#session = session
      if (signal.aborted) session.leave()
      else await ended.promise
    } catch {
      // The owner cannot be reached, so the next one is tried.
    } finally {
      this.#session = undefined
    }
  }

  #onInstruction(instruction: Instruction): void {
    switch (instruction.is) {
      case 'marks':
        this.#options.onCheckpoints(instruction.first, Buffer.from(instruction.marks, 'base64'))
        break
      case 'take':
        this.#takeFrom(instruction.parent)
        break
      case 'fetch':
      case 'alone':
        this.#publish(instruction.is)
        this.#assign({ do: 'fetch' })
        break
      case 'end':
        this.#endInstructions('end')
        break
      case 'wait':
        this.#publish('wait')
        this.#assign({ do: 'wait' })
        break
      case 'beat':
      // After `refused` the owner ends the session.
      case 'refused':
    }
  }

  /** A new owner may name the parent that this node takes from already. */
  #takeFrom(parent: Contact): void {
    const isSame = this.#assignment?.do === 'take' && this.#assignment.parent.id === parent.id
    if (isSame) return
    this.#publish('take', parent.name)
    this.#assign({ do: 'take', parent })
  }

  #endInstructions(reason: 'end' | 'unguided'): void {
    if (this.#isWithoutOwner) return
    this.#publish(reason)
    this.#isWithoutOwner = true
    this.#owner = undefined
    this.#assign({ do: 'fetch' })
  }

  #publish(instruction: Events['peer.instructed']['instruction'], from?: string): void {
    const { digest } = this.#options.want
    const owner = this.#owner && { name: this.#owner.name, self: this.#owner.isSelf }
    publish('peer.instructed', { digest, owner, instruction, from })
  }

  #assign(assignment: Assignment): void {
    this.#assignment = assignment
    for (const wake of [...this.#waiting]) wake()
  }
}
