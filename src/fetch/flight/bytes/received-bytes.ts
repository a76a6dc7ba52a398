import { CHECKPOINT_INTERVAL_BYTES, type Checkpoints } from '../../../oci/checkpoints.ts'
import type { Digest } from '../../../oci/digest.ts'
import { EARLIER_RUN, type Incoming } from '../../../ports/blob-store.ts'
import { Failure } from '../../../ports/failure.ts'
import type { Contributor, Source } from '../../../ports/source.ts'
import type { DeclaredHead } from './declared-head.ts'
import { disputeFailure } from './dispute-errors.ts'
import { type ByteSource, originText, Provenance } from './provenance.ts'
import { releasableBytes } from './tail-gate.ts'
import { type Dispute, Vouching } from './vouching.ts'

export interface ReceivedBytesOptions {
  readonly digest: Digest
  readonly incoming: Incoming
  readonly declared: DeclaredHead
  /** Whether peers may have brought the bytes that an earlier run has left. */
  readonly mayComeFromPeers: boolean
}

/**
 * The bytes of one flight: who brought them, how many of them may be passed on, and whether somebody disputes them.
 * A dispute ends the attempt under way, so that no more bytes come after the wrong ones.
 */
export class ReceivedBytes {
  readonly #digest: Digest
  readonly #incoming: Incoming
  /** Those of the incoming, which outlive it. */
  readonly #checkpoints: Checkpoints
  readonly #declared: DeclaredHead
  readonly #provenance = new Provenance()
  readonly #vouching = new Vouching()
  /** The sources that have brought bytes since the first byte. */
  #contributors = new Set<Source>()
  #isResumed: boolean
  /** The source that is asked now, or was asked last. */
  #askedSource: Source | undefined
  #attempt: AbortController | undefined
  #dispute: Dispute | undefined
  #isTruncating = false
  #verifiedBytes: number | undefined
  #isClosed = false

  constructor({ digest, incoming, declared, mayComeFromPeers }: ReceivedBytesOptions) {
    this.#digest = digest
    this.#incoming = incoming
    this.#checkpoints = incoming.checkpoints
    this.#declared = declared
    this.#isResumed = incoming.position > 0
    this.#provenance.startFrom(0, undefined)
    this.#vouching.startFrom(0, undefined, this.#isResumed && mayComeFromPeers)
  }

  get position(): number {
    return this.#isClosed ? 0 : this.#incoming.position
  }

  get readableFrom(): number {
    return this.#isClosed ? 0 : this.#incoming.readableFrom
  }

  /** How many bytes from the start may be passed on. */
  get released(): number {
    if (this.#verifiedBytes !== undefined) return this.#verifiedBytes
    if (this.#isClosed) return 0
    return Math.min(releasableBytes(this.#incoming.written, this.#declared.size), this.#vouching.limit)
  }

  get isVerified(): boolean {
    return this.#verifiedBytes !== undefined
  }

  /** Whether some of the bytes came in an earlier run. */
  get isResumed(): boolean {
    return this.#isResumed
  }

  /** Up to this position the bytes are vouched for, or came from upstream. */
  get vouchedBytes(): number {
    return this.#vouching.limit
  }

  /** Whether bytes are written that readers may not have before somebody vouches for them. */
  get areUnvouched(): boolean {
    return !this.isVerified && this.#vouching.limit < this.#incoming.written
  }

  /** Whether the content is open and cannot be stored. */
  get isPassThrough(): boolean {
    return !this.#isClosed && !this.#incoming.isStorable
  }

  get dispute(): Dispute | undefined {
    return this.#dispute
  }

  /** The contributors whose bytes nobody vouched for when they came. */
  get suspects(): readonly Contributor[] {
    return this.#vouching.suspects
  }

  get contributors(): readonly Source[] {
    return [...this.#contributors]
  }

  get askedSource(): Source | undefined {
    return this.#askedSource
  }

  /** Who brings bytes now, or was asked last: an upstream host, or a peer. */
  get source(): ByteSource | undefined {
    return this.#provenance.last ?? this.#askedSource
  }

  /** The kind of source that has brought most bytes; while there are none, the kind of the one that is asked. */
  get mainSourceKind(): Source['kind'] | undefined {
    return this.#provenance.mainSourceKind(this.#verifiedBytes ?? this.position)
  }

  /** Who has brought the content, as the store remembers it. */
  get origin(): string {
    const { source } = this
    if (source === undefined || this.#contributors.size === 0) return EARLIER_RUN
    const contributors = this.#provenance.contributors(this.position)
    // An empty content comes from the source that said that it is empty.
    return originText(contributors.length > 0 ? contributors : [source])
  }

  /** The checkpoints from number `first` on, as far as the bytes can be relied on. */
  checkpoints(first: number): Uint8Array {
    const end = this.isVerified ? undefined : Math.floor(this.#vouching.limit / CHECKPOINT_INTERVAL_BYTES)
    return this.#checkpoints.since(first, end)
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    if (this.#isClosed) throw new Failure('stopping', 'The transfer is over.')
    return this.#incoming.read(target, position)
  }

  /** Says that `source` brings the bytes from here on. The signal is aborted when the bytes are disputed. */
  beginAttempt(source: Source): AbortSignal {
    this.#askedSource = source
    this.#attempt = new AbortController()
    this.setContributor({ id: source.name, name: source.name })
    return this.#attempt.signal
  }

  endAttempt(source: Source, { hasContributed }: { hasContributed: boolean }): void {
    this.#attempt = undefined
    if (hasContributed) this.#contributors.add(source)
  }

  /** Says which contributor of the source that is asked brings the bytes from here on. */
  setContributor(contributor: Contributor): void {
    const kind = this.#askedSource?.kind ?? 'peer'
    this.#vouching.startFrom(this.position, contributor, kind === 'peer')
    this.#provenance.startFrom(this.position, { ...contributor, kind })
  }

  vouch(first: number, checkpoints: Uint8Array): void {
    this.#vouching.vouch(first, checkpoints)
    this.compare()
  }

  /** Compares the bytes with what was vouched for. Called when there are more of either. */
  compare(): void {
    // Bytes that are being taken back must not be found good, or readers would get some of them.
    if (this.#dispute !== undefined || this.#isTruncating) return
    const dispute = this.#vouching.check(this.#checkpoints)
    if (dispute !== undefined) this.startDispute(dispute)
  }

  startDispute(dispute: Dispute): void {
    this.#dispute ??= dispute
    this.#attempt?.abort(disputeFailure(this.#digest, this.#dispute))
  }

  /**
   * The dispute about bytes of a complete content whose digest is wrong; undefined when all of them are vouched for, or
   * none.
   */
  disputeOfWrongDigest(): Dispute | undefined {
    return this.#dispute ?? this.#vouching.doubt(this.position)
  }

  /** Takes back the disputed bytes, which are those after `position`. All of them, where the content cannot be cut. */
  async settleDispute(position: number): Promise<void> {
    await this.#cut(() => this.#incoming.truncate(position))
    this.#vouching.takeBack(this.position)
    this.#dispute = undefined
  }

  /** Gives up the bytes after `position`, which nobody disputes. */
  async truncate(position: number): Promise<void> {
    await this.#cut(() => this.#incoming.truncate(position))
    this.#vouching.truncate(this.position)
  }

  /** Begins again without bytes, because they were wrong. */
  async restart(): Promise<void> {
    this.#dispute = undefined
    this.#contributors = new Set()
    this.#vouching.startOver()
    await this.#cut(() => this.#incoming.restart())
  }

  verify(): void {
    this.#verifiedBytes = this.#incoming.position
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#incoming.close()
  }

  async #cut(cut: () => Promise<void>): Promise<void> {
    this.#isTruncating = true
    try {
      await cut()
    } finally {
      this.#isTruncating = false
    }
    if (this.position === 0) this.#isResumed = false
    this.#provenance.truncate(this.position)
  }
}
