import { type Source, SourceYielded, type VouchedIntake } from '../../ports/source.ts'

/** The same intake, which calls `onBytes` for all bytes that it gets. */
export function countingIntake(intake: VouchedIntake, onBytes: (bytes: number) => void): VouchedIntake {
  return {
    get position() {
      return intake.position
    },
    end: intake.end,
    expect: (head) => intake.expect(head),
    buffer: () => intake.buffer(),
    nextBuffer: () => intake.nextBuffer?.(),
    filled: (length) => {
      onBytes(length)
      return intake.filled(length)
    },
    drained: () => intake.drained(),
    setContributor: (peer) => intake.setContributor(peer),
    vouch: (first, checkpoints) => intake.vouch(first, checkpoints),
  }
}

export interface YieldOptions {
  /** The source that takes over. */
  readonly successor: Source
  /**
   * Called in each attempt when the first bytes have arrived. The source yields when the promise resolves; undefined: it
   * does not yield in this attempt.
   */
  readonly whenToYield: (signal: AbortSignal) => Promise<void> | undefined
  readonly onBytes: (bytes: number) => void
}

/**
 * The same source, which yields to `successor` when told so. It does not yield before its first bytes have arrived,
 * because it may be the only source that answers at all.
 */
export function yieldingSource(source: Source, { successor, whenToYield, onBytes }: YieldOptions): Source {
  const { name, kind } = source
  return {
    name,
    kind,
    ...(source.bringRange === undefined ? {} : { bringRange: source.bringRange.bind(source) }),
    bring: async (want, intake, { signal }) => {
      const yielded = new SourceYielded(name, successor)
      const yielding = new AbortController()
      const either = AbortSignal.any([signal, yielding.signal])
      let hasBytes = false
      const count = (bytes: number): void => {
        onBytes(bytes)
        if (hasBytes) return
        hasBytes = true
        whenToYield(either)?.then(
          () => yielding.abort(yielded),
          () => {},
        )
      }
      try {
        await source.bring(want, countingIntake(intake, count), { signal: either })
      } catch (error) {
        throw yielding.signal.aborted && !signal.aborted ? yielded : error
      } finally {
        // Ends the waiting of `whenToYield`.
        yielding.abort(yielded)
      }
    },
  }
}
