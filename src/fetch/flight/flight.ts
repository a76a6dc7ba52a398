import { pause, unlessAborted } from '../../lib/async/abort.ts'
import { backoffMs } from '../../lib/async/backoff.ts'
import { Deferred } from '../../lib/async/deferred.ts'
import { publish } from '../../observe/events.ts'
import { CHECKPOINT_INTERVAL_BYTES, type Checkpoints } from '../../oci/checkpoints.ts'
import type { Digest } from '../../oci/digest.ts'
import type { BlobStore, Incoming } from '../../ports/blob-store.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import {
  type ContentHead,
  type Contributor,
  type Source,
  SourceYielded,
  type Want,
} from '../../ports/source.ts'
import { type AttemptOptions, attempt } from './attempt.ts'
import {
  corruptFailure,
  disputeFailure,
  isPeer,
  SizeContradiction,
  UNVOUCHED,
  unknownSizeFailure,
} from './dispute-errors.ts'
import type { FlightPolicy } from './flight-policy.ts'
import { asFailure, isTransient, pickFailure } from './pick-failure.ts'
import { type ByteSource, originText, Provenance } from './provenance.ts'
import { Readers } from './readers.ts'
import { releasableBytes } from './tail-gate.ts'
import { type Dispute, Vouching } from './vouching.ts'

/** A reader that holds up nobody but itself is given more time. */
const ALONE_FACTOR = 6
/** When upstream stalls, its peers are to look for another way first, or all of them would ask upstream at once. */
const PEERS_FACTOR = 2.5
/** Peers may tell each other to wait, but not for so long that upstream has no time left to say how large it is. */
const PEERS_ANSWER_FACTOR = 1.5
/** Who sends a byte now and then is no better than one who sends nothing. */
const PEERS_LEAST_BYTES = 65_536
/** As much as peers may bring before the marks for it come. */
const UNVOUCHED_BYTES = 1024 * 1024
/** However many sources lie, the same bytes are not fetched for ever. */
const MOST_BEGINNINGS = 4

/** What the catalog is to know of a content besides its bytes; found by looking into it once it is verified. */
export interface Description {
  readonly mediaType: string | undefined
  readonly references: readonly Digest[]
  /** Those of the references that the registry need not have. */
  readonly foreign?: readonly Digest[]
  readonly subject: Digest | undefined
}

export interface FlightOptions {
  readonly want: Want
  readonly store: BlobStore
  readonly sources: readonly Source[]
  readonly policy: FlightPolicy
  /** Called when all of it is here from an earlier run, so that no source is asked: throws unless it is in the repository. */
  readonly confirm: () => Promise<void>
  /** Looks into a verified content. */
  readonly describe: (incoming: Incoming, mediaType: string | undefined) => Promise<Description>
  /** The flight is over, well or not, and must not be joined any more. */
  readonly onEnd: () => void
  /** There may be more of it now, or less, or it is over. */
  readonly onChange: () => void
}

/**
 * One transfer of one digest from outside into the store, followed by everyone who wants it. It belongs to none of
 * them: readers come and go, sources are tried one after another, and all readers learn the same end.
 */
export class Flight {
  readonly want: Want
  readonly startedAt = Date.now()
  readonly readers = new Readers({
    releasedBytes: () => this.released,
    readableFrom: () => this.#incoming?.readableFrom ?? 0,
    onMove: () => this.#onReaders(),
  })
  /** Resolves when it is over; with why, if it has failed. */
  readonly ended: Promise<Failure | undefined>
  readonly #options: FlightOptions
  readonly #controller = new AbortController()
  #sources: readonly Source[]
  #source: Source | undefined
  readonly #provenance = new Provenance()
  /** Who has brought bytes since the last beginning; `inherited` when some came from an earlier run. */
  #contributors = new Set<Source>()
  #inherited = false
  #beginnings = 1
  #incoming: Incoming | undefined
  #stored: Content | undefined
  #size: number | undefined
  #claimant: Source | undefined
  #mediaType: string | undefined
  #verified = false
  #landed = false
  /** Since when the readers are what is waited for. */
  #heldUpSince: number | undefined
  #watch: NodeJS.Timeout | undefined
  #keepStartTimer: NodeJS.Timeout | undefined
  #mayForgetStart = false
  #describing = false
  #deserted: Deferred<void> | undefined
  readonly #trust = new Vouching()
  #dispute: Dispute | undefined
  #isCutting = false
  /** Ends the attempt under way, and only that. */
  #attempting: AbortController | undefined
  #marks: Checkpoints | undefined
  readonly #end = new Deferred<Failure | undefined>()

  constructor(options: FlightOptions) {
    this.want = options.want
    this.#options = options
    this.#sources = options.sources
    this.ended = this.#end.promise
  }

  get size(): number | undefined {
    return this.#size
  }

  get position(): number {
    return this.#incoming?.position ?? 0
  }

  /** Who is asked now, or was last: an upstream host, a peer. */
  get source(): ByteSource | undefined {
    return this.#provenance.last ?? this.#source
  }

  /** Who has brought most of what is here; who is asked, while nothing is. */
  get mainSourceKind(): Source['kind'] | undefined {
    const end = this.#verified ? this.#size : undefined
    return this.#provenance.mainSourceKind(end ?? this.position)
  }

  /** How many bytes from the start may be passed on. */
  get released(): number {
    if (this.#verified && this.#size !== undefined) return this.#size
    if (this.#incoming === undefined) return 0
    return Math.min(releasableBytes(this.#incoming.written, this.#size), this.#trust.limit)
  }

  /** Marks of bytes that can be relied on, from this number on. */
  checkpoints(first = 0): Uint8Array {
    const end = this.#verified ? undefined : Math.floor(this.#trust.limit / CHECKPOINT_INTERVAL_BYTES)
    return this.#marks?.since(first, end) ?? new Uint8Array()
  }

  abort(failure: Failure): void {
    this.#controller.abort(failure)
  }

  read(target: Uint8Array, position: number): Promise<number> {
    const from = this.#stored ?? this.#incoming
    if (from === undefined) throw new Failure('stopping', 'The transfer is over.')
    return from.read(target, position)
  }

  /** Carries it all out and never throws. Resolves when the content is stored, or will not be. */
  async run(): Promise<void> {
    const late = setTimeout(() => {
      if (this.readers.knownHead === undefined) this.abort(this.#tooLate())
    }, this.#options.policy.sizeTimeoutMs)
    let error: Failure | undefined
    let kept = false
    let obstacle: Failure | undefined
    try {
      const incoming = await this.#begin()
      await this.#bring(incoming)
      const description = await this.#describe(incoming)
      this.#release(incoming, description)
      kept = await incoming.commit({ ...description, origin: this.#origin() })
      if (kept) this.#stored = await this.#options.store.open(this.want.digest)
      else await this.#passOn()
    } catch (thrown) {
      error = asFailure(thrown, 'the transfer')
      if (!this.#verified) this.readers.fail(error)
    } finally {
      clearTimeout(late)
      clearInterval(this.#watch)
      clearTimeout(this.#keepStartTimer)
      obstacle = this.#incoming?.passThroughReason
      await this.#land()
    }
    publish('flight.ended', {
      ...this.want,
      size: this.#size ?? this.position,
      ms: Date.now() - this.startedAt,
      waiters: this.readers.joinedCount,
      source: this.source?.name,
      isStored: kept,
      passThroughReason: obstacle?.message,
      error,
    })
    this.#end.resolve(error)
    this.#options.onChange()
  }

  /** The last reader out closes the file. */
  async closeIfUnread(): Promise<void> {
    if (!this.#landed || this.readers.count > 0) return
    const open = [this.#stored, this.#incoming]
    this.#stored = undefined
    this.#incoming = undefined
    for (const content of open) await content?.close().catch(() => {})
  }

  /**
   * From here on readers read what is stored, so that a slow one keeps none of the memory that other transfers need.
   * Only what is verified and could not be opened after that stays until its last reader has left.
   */
  async #land(): Promise<void> {
    if (this.#stored !== undefined || !this.#verified || this.readers.activeCount === 0) {
      const incoming = this.#incoming
      this.#incoming = undefined
      await incoming?.close().catch(() => {})
    }
    this.#landed = true
    this.#options.onEnd()
    await this.closeIfUnread()
  }

  async #begin(): Promise<Incoming> {
    const { signal } = this.#controller
    const beginning = this.#options.store.begin(this.want)
    let incoming: Incoming
    try {
      incoming = await unlessAborted(beginning, signal)
    } catch (error) {
      void beginning.then((late) => late.close()).catch(() => {})
      throw error
    }
    this.#incoming = incoming
    this.#marks = incoming.checkpoints
    this.#inherited = incoming.position > 0
    this.#provenance.startFrom(0, undefined)
    // It may be that peers have brought it.
    this.#trust.startFrom(0, undefined, this.#inherited && this.#sources.some(isPeer))
    incoming.onProgress((failure) => {
      if (failure !== undefined) return this.abort(asFailure(failure, 'the store'))
      this.#examine(incoming)
      this.#onReaders()
    })
    publish('flight.started', { ...this.want, resumedAt: incoming.position })
    return incoming
  }

  /**
   * What is not kept goes on only as its readers do: what all are past is forgotten, and the one that holds up the rest
   * is sent away.
   */
  #onReaders(): void {
    const incoming = this.#incoming
    if (incoming === undefined || incoming.isStorable) return
    this.#watch ??= setInterval(
      () => this.#sendIdleAway(incoming),
      this.#options.policy.progressTimeoutMs / 4,
    )
    this.#keepStartTimer ??= setTimeout(() => {
      this.#mayForgetStart = true
      this.#onReaders()
    }, this.#options.policy.moreReadersTimeoutMs)
    const { slowestOffset } = this.readers
    if (slowestOffset === undefined) {
      if (this.#verified) this.#deserted?.resolve()
      else this.abort(new Failure('disk', 'Nobody waits any more for what cannot be kept.'))
      return
    }
    if (this.#mayForgetStart && !this.#describing)
      incoming.discardBefore(Math.min(slowestOffset, incoming.written))
    // Nothing can be let out before the size is known, so nothing will ever be forgotten.
    if (this.#heldUpSince !== undefined && this.#size === undefined)
      this.abort(unknownSizeFailure(incoming.passThroughReason))
  }

  #sendIdleAway(incoming: Incoming): void {
    const { readers } = this
    if (incoming.isStorable || this.#heldUpSince === undefined) return
    const { progressTimeoutMs } = this.#options.policy
    const { limit } = this.#trust
    if (!this.#verified && limit < incoming.written && (readers.slowestOffset ?? 0) >= limit) {
      // It is no reader that is waited for.
      if (Date.now() - this.#heldUpSince >= progressTimeoutMs) this.#endAttempt(UNVOUCHED)
      return
    }
    const patienceMs = readers.activeCount > 1 ? progressTimeoutMs : progressTimeoutMs * ALONE_FACTOR
    const upTo = this.#verified ? Number.POSITIVE_INFINITY : (readers.slowestOffset ?? 0)
    readers.dismissIdle(upTo, patienceMs, this.#heldUpSince)
  }

  /** Of what is not kept, the start may be gone, and nobody will ask. */
  async #describe(incoming: Incoming): Promise<Description> {
    if (incoming.readableFrom > 0) return { mediaType: this.#mediaType, references: [], subject: undefined }
    this.#describing = true
    try {
      return await this.#options.describe(incoming, this.#mediaType)
    } finally {
      this.#describing = false
    }
  }

  /** Not stored, but verified: until those who read it have it whole. */
  async #passOn(): Promise<void> {
    this.#heldUpSince = Date.now()
    this.#deserted = new Deferred()
    this.#onReaders()
    await unlessAborted(this.#deserted.promise, this.#controller.signal)
  }

  #release(incoming: Incoming, description: Description): void {
    this.#size = incoming.position
    this.#mediaType = description.mediaType
    this.#verified = true
    this.readers.announceHead({ size: this.#size, mediaType: this.#mediaType })
    this.readers.wake()
    this.#options.onChange()
  }

  /** Until the bytes are the ones asked for. */
  async #bring(incoming: Incoming): Promise<void> {
    const { digest } = this.want
    // An earlier run may have been cut off between the last byte and the commit.
    if (this.#inherited && (await incoming.digest()) === digest) return this.#options.confirm()
    const failures: Failure[] = []
    for (;;) {
      await this.#bringAll(incoming, failures)
      const found = await incoming.digest()
      if (found === digest) return
      this.#controller.signal.throwIfAborted()
      const dispute = this.#dispute ?? this.#trust.doubt(incoming.position)
      if (dispute !== undefined) {
        failures.push(await this.#takeBack(incoming, dispute))
        continue
      }
      const failure = this.#blame(found)
      failures.push(failure)
      await this.#startOver(incoming, failure)
    }
  }

  /** Until nothing is missing: source after source, each from where the one before has stopped. */
  async #bringAll(incoming: Incoming, failures: Failure[]): Promise<void> {
    const { policy } = this.#options
    const fruitless = new Map<Source, number>()
    for (;;) {
      const source = this.#sources[0]
      if (source === undefined) throw pickFailure(`${this.want.kind} ${this.want.digest}`, failures)
      const tried = fruitless.get(source) ?? 0
      if (tried > 0) {
        const ms = backoffMs(tried, { firstMs: policy.retryPauseMs, jitter: 1 })
        await pause(ms, { signal: this.#controller.signal })
      }
      if (this.#dispute !== undefined) {
        failures.push(await this.#takeBack(incoming, this.#dispute))
        continue
      }
      if (!isPeer(source)) await this.#giveUpUnvouched(incoming)
      if (this.#dispute !== undefined) continue
      const before = incoming.position
      const failure = await this.#attempt(source, incoming)
      if (failure === undefined) return
      this.#controller.signal.throwIfAborted()
      const dispute = this.#dispute
      if (dispute !== undefined) {
        failures.push(await this.#takeBack(incoming, dispute))
        if (incoming.position - before >= policy.progressBytes) fruitless.clear()
        // It asks another peer now; a source that others have led astray is not to blame.
        else if (isPeer(source)) fruitless.set(source, tried + 1)
        if ((fruitless.get(source) ?? 0) >= policy.attemptsPerSource) this.#sources = this.#sources.slice(1)
        continue
      }
      const hasProgressed = incoming.position - before >= policy.progressBytes
      if (hasProgressed) fruitless.clear()
      if (failure instanceof SourceYielded) {
        const { successor } = failure
        this.#sources = [successor, ...this.#sources.filter((other) => other !== successor)]
        continue
      }
      failures.push(failure)
      if (!hasProgressed) fruitless.set(source, tried + 1)
      if (failure instanceof SizeContradiction || this.#isBeyond(source, failure))
        await this.#preferOver(source, incoming, failure)
      else {
        const again = isTransient(failure) && (fruitless.get(source) ?? 0) < policy.attemptsPerSource
        this.#sources = [...this.#sources.slice(1), ...(again ? [source] : [])]
      }
    }
  }

  async #attempt(source: Source, incoming: Incoming): Promise<Failure | undefined> {
    this.#source = source
    const before = incoming.position
    const attempting = new AbortController()
    this.#attempting = attempting
    const from = (giver: Contributor): void => {
      this.#trust.startFrom(incoming.position, giver, isPeer(source))
      this.#provenance.startFrom(incoming.position, { ...giver, kind: source.kind })
    }
    from({ id: source.name, name: source.name })
    const failure = await attempt({
      want: this.want,
      source,
      incoming,
      expect: (head) => this.#expect(source, head),
      isSizeUnconfirmed: () => this.#claimant !== undefined && isPeer(this.#claimant),
      setContributor: from,
      vouch: (first, marks) => {
        this.#trust.vouch(first, marks)
        this.#examine(incoming)
      },
      ...this.#patience(source),
      onWaiting: (isWaiting) => {
        this.#heldUpSince = isWaiting ? Date.now() : undefined
        this.#onReaders()
      },
      signal: AbortSignal.any([this.#controller.signal, attempting.signal]),
    })
    this.#attempting = undefined
    if (failure === undefined || incoming.position > before) this.#contributors.add(source)
    return failure
  }

  #patience(source: Source): Pick<AttemptOptions, 'progressTimeoutMs' | 'minBytes' | 'answerTimeoutMs'> {
    const { progressTimeoutMs } = this.#options.policy
    if (!isPeer(source)) return { progressTimeoutMs, minBytes: 1, answerTimeoutMs: undefined }
    return {
      progressTimeoutMs: progressTimeoutMs * PEERS_FACTOR,
      minBytes: PEERS_LEAST_BYTES,
      answerTimeoutMs: progressTimeoutMs * PEERS_ANSWER_FACTOR,
    }
  }

  #expect(source: Source, head: ContentHead): number | undefined {
    const { size } = head
    if (size !== undefined) {
      if ((this.#size !== undefined && size !== this.#size) || size < this.position) {
        throw new SizeContradiction(source.name, this.#size ?? this.position, size)
      }
      this.#size = size
      if (this.#claimant === undefined || (isPeer(this.#claimant) && !isPeer(source))) this.#claimant = source
      this.#mediaType ??= head.mediaType
      this.readers.announceHead({ size, mediaType: this.#mediaType })
      this.#options.onChange()
    }
    this.#mediaType ??= head.mediaType
    return this.#size
  }

  /** What is here, by the word of peers or of an earlier run, reaches further than what upstream has (RFC 9110, 15.5.17). */
  #isBeyond(source: Source, { details }: Failure): boolean {
    const isHearsay = this.#claimant === undefined || isPeer(this.#claimant)
    return !isPeer(source) && details.status === 416 && isHearsay && this.position > 0
  }

  /** Two sources name different sizes and only the digest can tell who is right: begin anew with the later one. */
  async #preferOver(source: Source, incoming: Incoming, failure: Failure): Promise<void> {
    const others = this.#sources.filter((other) => other !== source)
    if (isPeer(source) && (this.#claimant === undefined || !isPeer(this.#claimant))) {
      // A peer is not believed more than upstream, or what is here already.
      this.#sources = others
      return
    }
    this.#sources = [source, ...others.filter((other) => other !== this.#claimant)]
    await this.#startOver(incoming, failure)
  }

  async #startOver(incoming: Incoming, failure: Failure): Promise<void> {
    if (this.#beginnings === MOST_BEGINNINGS) throw failure
    this.#beginnings += 1
    if (this.#beginnings === MOST_BEGINNINGS) {
      // Many peers may bring wrong bytes, one after another; the last beginning is upstream's, if there is an upstream.
      const upstream = this.#sources.filter((source) => !isPeer(source))
      if (upstream.length > 0) this.#sources = upstream
    }
    this.#size = undefined
    this.#claimant = undefined
    this.#mediaType = undefined
    this.#inherited = false
    this.#contributors = new Set()
    this.#dispute = undefined
    this.#trust.startOver()
    this.#provenance.truncate(0)
    this.readers.startOver(failure)
    await incoming.restart()
    this.#options.onChange()
    this.#controller.signal.throwIfAborted()
  }

  /** There is more to be seen of the bytes, or to compare them with. */
  #examine(incoming: Incoming): void {
    // What is being cut off is not found to be good any more, or readers would have some of it.
    const isOpen = this.#dispute === undefined && !this.#isCutting
    const dispute = isOpen ? this.#trust.check(incoming.checkpoints) : undefined
    if (dispute !== undefined) this.#endAttempt(dispute)
    this.readers.wake()
    this.#options.onChange()
  }

  /** Bytes that have come are to be taken back, which is done when no more of them come. */
  #endAttempt(dispute: Dispute): void {
    this.#dispute ??= dispute
    this.#attempting?.abort(disputeFailure(this.want.digest, this.#dispute))
  }

  /**
   * The last that peers have brought, and nobody has vouched for, would keep all from the readers that upstream brings
   * after it: it is asked for again when it is only that.
   */
  async #giveUpUnvouched(incoming: Incoming): Promise<void> {
    const { limit } = this.#trust
    const unvouched = incoming.position - limit
    if (unvouched <= 0 || unvouched > UNVOUCHED_BYTES) return
    if (!incoming.isStorable || limit === 0 || limit % CHECKPOINT_INTERVAL_BYTES !== 0) return
    this.#isCutting = true
    try {
      await incoming.truncate(limit)
    } finally {
      this.#isCutting = false
    }
    this.readers.dismissBeyond(incoming.position, new Failure('disk', 'What came could not be kept.'))
    if (incoming.position === 0) this.#inherited = false
    this.#trust.truncate(incoming.position)
    this.#provenance.truncate(incoming.position)
    this.#options.onChange()
    this.#controller.signal.throwIfAborted()
  }

  /** What is not what was vouched for is asked for again, from others than those who brought it. */
  async #takeBack(incoming: Incoming, dispute: Dispute): Promise<Failure> {
    const { culprits } = dispute
    const { digest } = this.want
    const failure = disputeFailure(digest, dispute)
    this.#tellOf(culprits, `other bytes after ${dispute.goodBytes}`)
    this.#accuse(culprits)
    const isCulprit = ({ name }: Source): boolean => culprits.some(({ id }) => id === name)
    const isOut = (source: Source): boolean => dispute === UNVOUCHED || isCulprit(source)
    this.#sources = this.#sources.filter((source) => !(isPeer(source) && isOut(source)))
    // Some of it may have been given up before it was found to be wrong.
    const good = Math.min(dispute.goodBytes, incoming.position)
    this.readers.dismissBeyond(incoming.isStorable ? good : 0, failure)
    await incoming.truncate(good)
    this.readers.dismissBeyond(incoming.position, failure)
    if (incoming.position === 0) this.#inherited = false
    this.#trust.takeBack(incoming.position)
    this.#provenance.truncate(incoming.position)
    this.#dispute = undefined
    this.#options.onChange()
    this.#controller.signal.throwIfAborted()
    return failure
  }

  /**
   * Whoever brought any of the wrong bytes is not asked again, unless an earlier run may have brought them. Where peers
   * have, upstream is not suspected.
   */
  #blame(found: Digest): Failure {
    const { suspects } = this.#trust
    const culprits = [...this.#contributors].filter((source) => suspects.length === 0 || isPeer(source))
    const { digest } = this.want
    this.#tellOf(suspects, found)
    // Of several, or of what an earlier run has left, only some may be wrong.
    if (suspects.length === 1 && !this.#inherited) this.#accuse(suspects)
    if (suspects.length === 0) {
      for (const { name, kind } of culprits) {
        publish('verify.failed', { digest, found, source: name, sourceKind: kind })
      }
    }
    if (!this.#inherited) this.#sources = this.#sources.filter((source) => !culprits.includes(source))
    return corruptFailure(digest, suspects.length === 0 ? culprits : suspects, found)
  }

  #tellOf(culprits: readonly Contributor[], found: string): void {
    const { digest } = this.want
    for (const { name } of culprits) {
      publish('verify.failed', { digest, found, source: name, sourceKind: 'peer' })
    }
  }

  #accuse(culprits: readonly Contributor[]): void {
    for (const source of this.#options.sources) source.blame?.(culprits)
  }

  #origin(): string {
    const { source } = this
    if (source === undefined || this.#contributors.size === 0) return 'an earlier run'
    const bringers = this.#provenance.contributors(this.position)
    // Of nothing, whoever has said that it is nothing.
    return originText(bringers.length > 0 ? bringers : [source])
  }

  #tooLate(): Failure {
    const who = this.#source?.name ?? 'nobody'
    return new Failure(
      'stalled',
      `${who} has not answered within ${this.#options.policy.sizeTimeoutMs / 1000} s.`,
    )
  }
}
