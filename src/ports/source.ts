import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure } from './failure.ts'

/** One content to fetch. The digest alone says what it is; the repository says where upstream has it. */
export interface Want {
  readonly digest: Digest
  readonly kind: 'manifest' | 'blob'
  readonly repository: Repository
}

/** A peer or host that has brought bytes of a content. Two of them may have the same name, so the id tells them apart. */
export interface Contributor {
  readonly id: string
  /** Users see this name. */
  readonly name: string
}

/** An object store is asked before upstream. It is believed as upstream is, until its bytes turn out to be wrong. */
export type SourceKind = 'peer' | 'object-store' | 'upstream'

/** How many requests for ranges of one blob may be under way at a time. */
export interface ConnectionsPerBlob {
  readonly most: number
  /** Whether the number begins with one, and is raised only while that makes the blob come faster. */
  readonly isAuto: boolean
}

/** Something that can bring a content: one upstream host, an object store, or the peers. */
export interface Source {
  /** The name of a host, a bucket or a peer, which users see. */
  readonly name: string
  readonly kind: SourceKind
  /**
   * Makes one attempt to bring the bytes from `intake.position` to the end, or to `intake.end`. Resolves when the other side has sent all
   * that it declared; rejects with a `Failure` otherwise. The bytes that reached the intake before a failure stay there,
   * and the next attempt begins after them.
   *
   * The source has deadlines for connecting and for the first header. The flight watches the progress after that; to end
   * the attempt it aborts `signal` with a `Failure` that names the source to blame. The flight believes nothing that a source
   * says about the content: it verifies all bytes.
   */
  bring(want: Want, intake: VouchedIntake, options: { signal: AbortSignal }): Promise<void>
  /**
   * Brings one range of a blob of `size` bytes into `intake`, whose position is the start of the range; independent of attempts
   * under way. Calls `expect` when the other side has answered, until when the source has deadlines of its own. Rejects with an
   * `unsupported` failure when the other side does not do that.
   */
  bringRange?(
    want: Want,
    range: { readonly end: number; readonly size: number },
    intake: Intake,
    options: { signal: AbortSignal },
  ): Promise<void>
  /** Over how many connections a blob may come by ranges; undefined: over one. */
  readonly connectionsPerBlob?: ConnectionsPerBlob
  /** Says which contributors to this source's attempts have sent wrong bytes. Called while no attempt is under way. */
  blame?(culprits: readonly Contributor[]): void
}

/** A healthy source throws this to yield to `successor`. The flight asks `successor` next, and this source after it. */
export class SourceYielded extends Failure {
  readonly successor: Source

  constructor(source: string, successor: Source) {
    super('unavailable', `${source} yields to ${successor.name}.`, { source })
    this.successor = successor
  }
}

/** What the other side says about the content before its first byte. */
export interface ContentHead {
  /** The size of the whole content, at whatever offset the attempt began. */
  readonly size: number | undefined
  readonly mediaType: string | undefined
}

/**
 * Where a source puts bytes. It lends memory to read into, so that nothing is copied on the way to the disk. The memory is
 * shared where much is to come, so that another thread can fill it.
 */
export interface Intake {
  /** How many bytes were taken, those of earlier attempts included: the offset to ask for next. */
  readonly position: number
  /** Must be called once in an attempt, before its first byte. Throws a `Failure` when `head` contradicts what is known. */
  expect(head: ContentHead): void
  /** Memory for the next bytes, never empty. `filled` takes bytes off its start; when none are left, it is another one. */
  buffer(): Uint8Array
  /** Memory for the bytes after those of `buffer`, which it becomes when that is full; undefined: there is none yet. */
  nextBuffer?(): Uint8Array | undefined
  /**
   * Says that the first `length` bytes of `buffer()` hold content now. Gives false when the caller must stop until
   * `drained` resolves.
   */
  filled(length: number): boolean
  /** Resolves when there is room again; rejects when no more bytes can be taken. */
  drained(): Promise<void>
}

/**
 * Where peers and upstream hosts put bytes. Bytes from a peer are served only as far as checkpoints vouch for them, or when
 * all of them are verified. When they turn out to be wrong, the attempt is ended and they are asked for again.
 */
export interface VouchedIntake extends Intake {
  /** Not more is wanted now than the bytes before this position. A source that cannot stop there may bring more. */
  readonly end?: number | undefined
  /** Says which peer brings the bytes from now on, so that it can be blamed. Before the first call it is the source. */
  setContributor(peer: Contributor): void
  /** Takes the checkpoints from number `first` on. The caller has them from a participant that knows the content. */
  vouch(first: number, checkpoints: Uint8Array): void
}

/** The same intake, but for what is changed. */
export function forwardedIntake(intake: Intake, changes: Partial<Omit<Intake, 'position'>> = {}): Intake {
  const forwarded: Intake = {
    get position() {
      return intake.position
    },
    expect: (head) => intake.expect(head),
    buffer: () => intake.buffer(),
    nextBuffer: () => intake.nextBuffer?.(),
    filled: (length) => intake.filled(length),
    drained: () => intake.drained(),
  }
  return Object.assign(forwarded, changes)
}

/** As `forwardedIntake`. */
export function forwardedVouchedIntake(
  intake: VouchedIntake,
  changes: Partial<Omit<VouchedIntake, 'position'>>,
): VouchedIntake {
  const vouched: Omit<VouchedIntake, keyof Intake> = {
    end: intake.end,
    setContributor: (peer) => intake.setContributor(peer),
    vouch: (first, checkpoints) => intake.vouch(first, checkpoints),
  }
  return Object.assign(forwardedIntake(intake), vouched, changes)
}
