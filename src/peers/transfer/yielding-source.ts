import { type Source, SourceYielded, type VouchedIntake } from '../../ports/source.ts'

/** The same place for bytes; all that come are told of. */
export function noted(intake: VouchedIntake, note: (bytes: number) => void): VouchedIntake {
  return {
    get position() {
      return intake.position
    },
    expect: (head) => intake.expect(head),
    buffer: () => intake.buffer(),
    filled: (length) => {
      note(length)
      return intake.filled(length)
    },
    drained: () => intake.drained(),
    setContributor: (peer) => intake.setContributor(peer),
    vouch: (first, marks) => intake.vouch(first, marks),
  }
}

export interface Waygiving {
  readonly to: Source
  /** Called in each attempt, once something has come; it gives way when that resolves. Undefined: it does not. */
  readonly turned: (signal: AbortSignal) => Promise<void> | undefined
  /** So many bytes have come. */
  readonly note: (bytes: number) => void
}

/** A source that is left for another; but not before it has answered, as it may be all the others who do not. */
export function givingWay(source: Source, { to, turned, note }: Waygiving): Source {
  const { name, kind } = source
  return {
    name,
    kind,
    bring: async (want, intake, { signal }) => {
      const gaveWay = new SourceYielded(name, to)
      const leaving = new AbortController()
      const within = AbortSignal.any([signal, leaving.signal])
      let isListening = false
      const hear = (bytes: number): void => {
        note(bytes)
        if (isListening) return
        isListening = true
        turned(within)?.then(
          () => leaving.abort(gaveWay),
          () => {},
        )
      }
      try {
        await source.bring(want, noted(intake, hear), { signal: within })
      } catch (error) {
        throw leaving.signal.aborted && !signal.aborted ? gaveWay : error
      } finally {
        leaving.abort(gaveWay)
      }
    },
  }
}
