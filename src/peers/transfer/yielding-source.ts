import {
  forwardedIntake,
  forwardedVouchedIntake,
  type Intake,
  type Source,
  SourceYielded,
  type VouchedIntake,
} from '../../ports/source.ts'

/** The same intake, which calls `onBytes` for all bytes that it gets. */
export function countingIntake(intake: VouchedIntake, onBytes: (bytes: number) => void): VouchedIntake {
  return forwardedVouchedIntake(intake, { filled: countingFilled(intake, onBytes) })
}

function countingFilled(intake: Intake, onBytes: (bytes: number) => void): Intake['filled'] {
  return (length) => {
    onBytes(length)
    return intake.filled(length)
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
  const { name, kind, connectionsPerBlob } = source
  const bringRange = source.bringRange?.bind(source)
  return {
    name,
    kind,
    ...(connectionsPerBlob === undefined ? {} : { connectionsPerBlob }),
    ...(bringRange === undefined
      ? {}
      : {
          bringRange: (want, range, intake, options) =>
            bringRange(
              want,
              range,
              forwardedIntake(intake, { filled: countingFilled(intake, onBytes) }),
              options,
            ),
        }),
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
