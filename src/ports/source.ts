import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure } from './failure.ts'

/** One thing to fetch. Its digest alone says what it is; the repository says where upstream keeps it. */
export interface Want {
  readonly digest: Digest
  readonly kind: 'manifest' | 'blob'
  readonly repository: Repository
}

/** One who gives bytes: known by its id, as names may be alike; the name is shown. */
export interface Giver {
  readonly id: string
  readonly name: string
}

/** Someone who may have a digest: one upstream host, one peer. */
export interface Source {
  /** Shown to users: a host, a peer's name. */
  readonly name: string
  readonly kind: 'peer' | 'upstream'
  /**
   * One attempt to bring the bytes from `intake.position` to the end. Returns when the other side has sent all it
   * declared, throws a `Failure` otherwise; whatever reached the intake before that stays and the next attempt goes on
   * from there. A source has deadlines for connecting and for the first header; progress after that is watched by the
   * flight, which aborts `signal`; its reason is a `Failure` that names who is to blame. Nothing a source says about the content is believed: the flight verifies it.
   */
  bring(want: Want, intake: VouchedIntake, options: { signal: AbortSignal }): Promise<void>
  /** These of those who gave it what it brought gave other bytes than those asked for. Said while it brings nothing. */
  blame?(culprits: readonly Giver[]): void
}

/** Thrown by a source that is well, but is not to go on: what is missing is asked of `to`, and of this one after it. */
export class GaveWay extends Failure {
  readonly to: Source

  constructor(source: string, to: Source) {
    super('unavailable', `${source} is left for ${to.name}.`, { source })
    this.to = to
  }
}

/** What the other side says about the content before its first byte. */
export interface Head {
  /** Size of the whole content, whatever the offset asked for. */
  readonly size: number | undefined
  readonly mediaType: string | undefined
}

/** Where a source puts bytes: memory to read into, so that nothing is copied on the way to the disk. */
export interface Intake {
  /** Bytes taken so far, those of earlier attempts included: the offset to ask for next. */
  readonly position: number
  /** To be called once in an attempt, before its first byte. Throws a `Failure` when it contradicts what is known. */
  expect(head: Head): void
  /** Memory for the next bytes, never empty. Stays the same until `filled`. */
  buffer(): Uint8Array
  /** The first `length` bytes of `buffer()` hold content now. False: stop until `drained` resolves. */
  filled(length: number): boolean
  /** Resolves when there is room again; rejects when the bytes can no longer be taken. */
  drained(): Promise<void>
}

/**
 * Where peers put bytes, too. They are relied on only as far as somebody vouches for them, or when all of them are
 * verified; when they turn out to be others, the attempt is ended and what is wrong is asked for again.
 */
export interface VouchedIntake extends Intake {
  /** What comes from here on is brought by this peer, the one to blame. Before the first call it is the source. */
  from(peer: Giver): void
  /** Somebody who knows what the content is says that these are its marks from number `first` on. */
  vouch(first: number, marks: Uint8Array): void
}
