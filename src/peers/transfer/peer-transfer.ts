import { Throttle } from '../../lib/async/throttle.ts'
import { CHECKPOINT_BYTES, Checkpoints } from '../../oci/checkpoints.ts'
import { Failure } from '../../ports/failure.ts'
import type { LocalContent } from '../../ports/local-content.ts'
import type { Contributor, Source, VouchedIntake, Want } from '../../ports/source.ts'
import { parseMemberId } from '../identity/member.ts'
import { type Contact, MAX_CHECKPOINTS_PER_MESSAGE } from '../wire/messages.ts'
import type { Reception } from './download-rate.ts'
import { type Course, Guide } from './tracker-client.ts'
import type { Table } from './tracker-session.ts'
import { givingWay, noted } from './yielding-source.ts'

export interface ParticipationOptions {
  readonly want: Want
  readonly self: { readonly contact: Contact; readonly zone: string | undefined }
  readonly holdings: LocalContent
  /** Owners of what is wanted, the likeliest first. */
  readonly tables: () => readonly Table[]
  readonly take: (parent: Contact, intake: VouchedIntake, signal: AbortSignal) => Promise<void>
  /** Of this node, whatever it gets. */
  readonly reception: Reception
  readonly onBegun: () => void
  readonly onEnded: () => void
}

/** The owner is told so often, at most, how far one has got. */
const NEWS_MS = 25
/** And at least so often. */
const BEAT_MS = 1000
/** So often an owner may call a transfer back from upstream. */
const MOST_TURNS = 4

/**
 * One transfer as this node's peers take part in it. `first` asks them before upstream is asked, `last` once more after
 * upstream has failed; either ends with `absent` when it falls to this node to ask upstream. `heeding` is upstream, until
 * the owner says otherwise. As long as the transfer is under way its owner hears how it gets on, whoever brings the bytes.
 */
export class Participation {
  readonly first: Source
  readonly last: Source
  readonly #options: ParticipationOptions
  #guide: Guide | undefined
  #intake: VouchedIntake | undefined
  #course: Course | undefined
  /** As the owner vouches for them. */
  readonly #vouched = new Checkpoints()
  /** Upstream has failed this node. */
  #hasFailed = false
  #turns = 0
  #toldPosition = -1
  #toldMarks = 0
  #unwatch: (() => void) | undefined
  readonly #news = new Throttle(NEWS_MS, () => void this.#tell().catch(() => {}))
  #beat: NodeJS.Timeout | undefined

  constructor(options: ParticipationOptions) {
    this.#options = options
    this.first = {
      ...sourceOf((intake, signal) => this.#bring(intake, signal)),
      blame: (culprits) => this.#blame(culprits),
    }
    this.last = sourceOf((intake, signal) => {
      this.#guide?.renounce()
      this.#guide?.tell({ is: 'failed' })
      this.#course = undefined
      this.#hasFailed = true
      return this.#bring(intake, signal)
    })
  }

  /** The same upstream, which is left for `first` when somebody is to be taken from instead. */
  heeding(upstream: Source): Source {
    return givingWay(upstream, {
      to: this.first,
      turned: (signal) => this.#turned(signal),
      note: (bytes) => this.#options.reception.add(bytes),
    })
  }

  /** Where it is told what to do. */
  get owner(): Table['id'] | undefined {
    return this.#guide?.owner
  }

  /** At another's table than the first owner's. */
  get isElsewhere(): boolean {
    return this.#guide?.hasMovedOn === true
  }

  /** Its owner hears no more of it. */
  close(): void {
    this.#end(false)
  }

  async #bring(intake: VouchedIntake, signal: AbortSignal): Promise<void> {
    const counted = noted(intake, (bytes) => this.#options.reception.add(bytes))
    this.#intake = counted
    const guide = this.#begin()
    intake.vouch(0, this.#vouched.since(0))
    let course: Course | undefined
    for (;;) {
      course = await guide.next(course, signal)
      if (course.do === 'fetch' && this.#hasFailed && guide.moveOn()) continue
      this.#course = course
      if (course.do === 'fetch') throw new Failure('absent', 'It falls to this node to ask upstream.')
      if (course.do === 'take' && (await this.#take(course, guide, counted, signal))) return
    }
  }

  /** From this parent until all is here; false when that ends before, or when there is another course to take. */
  async #take(
    course: Course & { do: 'take' },
    guide: Guide,
    intake: VouchedIntake,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { parent } = course
    const turning = new AbortController()
    const turn = new Failure('unavailable', `${parent.name} is no longer the one to ask`, {
      source: parent.name,
    })
    void guide
      .next(course, AbortSignal.any([signal, turning.signal]))
      .then(() => turning.abort(turn))
      .catch(() => {})
    try {
      await this.#options.take(parent, intake, AbortSignal.any([signal, turning.signal]))
      return true
    } catch (error) {
      signal.throwIfAborted()
      if (error !== turn) {
        guide.tell({ is: 'lost', parent: parent.id })
        guide.renounce(course)
      }
      return false
    } finally {
      turning.abort(turn)
    }
  }

  /** The owner has sent this node upstream, and now to a peer. Who has come there without its word is not called back. */
  #turned(signal: AbortSignal): Promise<void> | undefined {
    if (this.#course?.do !== 'fetch' || this.#turns === MOST_TURNS) return undefined
    return this.#calledBack(this.#course, signal)
  }

  async #calledBack(sent: Course, signal: AbortSignal): Promise<void> {
    let course: Course | undefined = sent
    while (course?.do !== 'take') course = await this.#guide?.next(course, signal)
    this.#turns += 1
  }

  /** Not necessarily the one that is taken from now. */
  #blame(culprits: readonly Contributor[]): void {
    for (const { id } of culprits) {
      const parent = parseMemberId(id)
      if (parent === undefined) continue
      this.#guide?.tell({ is: 'blamed', parent })
      const course = this.#course
      if (course?.do === 'take' && course.parent.id === parent) this.#guide?.renounce(course)
    }
  }

  #begin(): Guide {
    if (this.#guide !== undefined) return this.#guide
    this.#options.onBegun()
    const { want, self, holdings, tables, reception } = this.#options
    this.#guide = new Guide({
      want,
      tables,
      coming: () => {
        this.#toldMarks = 0
        this.#toldPosition = -1
        const position = this.#intake?.position ?? 0
        return { ...self, position, from: this.#from, hasFailed: this.#hasFailed, best: reception.best }
      },
      onMarks: (first, marks) => this.#vouch(first, marks),
    })
    this.#unwatch = holdings.watch(want.digest, () => this.#news.call())
    this.#beat = setInterval(() => {
      this.#toldPosition = -1
      this.#news.call()
    }, BEAT_MS)
    return this.#guide
  }

  get #from(): Contact['id'] | 'upstream' | undefined {
    if (this.#course?.do === 'take') return this.#course.parent.id
    return this.#course?.do === 'fetch' ? 'upstream' : undefined
  }

  #vouch(first: number, marks: Uint8Array): void {
    if (first === this.#vouched.count) this.#vouched.append(marks)
    this.#intake?.vouch(first, marks)
  }

  /** How far it is; and what comes from upstream here, for all others to hold theirs against. */
  async #tell(): Promise<void> {
    const { want, holdings, reception } = this.#options
    const held = await holdings.state(want)
    const isSent = this.#course?.do === 'fetch'
    if (isSent) await this.#tellMarks()
    if (held === undefined || held.isComplete) return this.#end(held?.isComplete === true)
    if (held.availableBytes === this.#toldPosition) return
    this.#toldPosition = held.availableBytes
    this.#guide?.tell({
      is: 'at',
      position: held.availableBytes,
      receives: isSent ? reception.now : undefined,
    })
  }

  async #tellMarks(): Promise<void> {
    const { want, holdings } = this.#options
    const marks = await holdings.checkpoints(want.digest, this.#toldMarks)
    for (
      let at = 0;
      marks !== undefined && at < marks.length;
      at += MAX_CHECKPOINTS_PER_MESSAGE * CHECKPOINT_BYTES
    ) {
      const some = marks.subarray(at, at + MAX_CHECKPOINTS_PER_MESSAGE * CHECKPOINT_BYTES)
      this.#guide?.tell({ is: 'marks', first: this.#toldMarks, marks: Buffer.from(some).toString('base64') })
      this.#toldMarks += some.length / CHECKPOINT_BYTES
    }
  }

  #end(isWhole: boolean): void {
    clearInterval(this.#beat)
    this.#news.stop()
    this.#unwatch?.()
    if (isWhole) this.#guide?.tell({ is: 'whole' })
    this.#guide?.close()
    this.#options.onEnded()
  }
}

function sourceOf(bring: (intake: VouchedIntake, signal: AbortSignal) => Promise<void>): Source {
  return { name: 'peers', kind: 'peer', bring: (_, intake, { signal }) => bring(intake, signal) }
}
