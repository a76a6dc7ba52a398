import { Failure } from '../../src/ports/failure.ts'
import type { Contributor, Intake, Source, VouchedIntake, Want } from '../../src/ports/source.ts'

export interface Attempt {
  readonly want: Want
  readonly intake: VouchedIntake
  readonly signal: AbortSignal
}

/** A source whose attempts are scripted by the test; the last step is repeated. */
export class ScriptedSource implements Source {
  readonly name: string
  readonly kind: 'peer' | 'upstream'
  /** The offset at which each attempt began. */
  readonly attempts: number[] = []
  readonly #steps: readonly ((attempt: Attempt) => Promise<void>)[]
  blame?: (culprits: readonly Contributor[]) => void

  constructor(
    name: string,
    steps: readonly ((attempt: Attempt) => Promise<void>)[],
    kind: 'peer' | 'upstream' = 'upstream',
  ) {
    this.name = name
    this.kind = kind
    this.#steps = steps
  }

  async bring(want: Want, intake: VouchedIntake, options: { signal: AbortSignal }): Promise<void> {
    const step = this.#steps[Math.min(this.attempts.length, this.#steps.length - 1)]
    this.attempts.push(intake.position)
    if (step === undefined) throw new Error(`${this.name} has no script`)
    await step({ want, intake, signal: options.signal })
  }
}

/** Gives the intake `bytes` from its position up to `end`, as fast as it takes them. */
export async function pour(
  intake: Intake,
  bytes: Uint8Array,
  end = bytes.length,
  { endsWithoutRoom = false } = {},
): Promise<void> {
  while (intake.position < end) {
    const room = intake.buffer()
    const length = Math.min(room.length, end - intake.position)
    room.set(bytes.subarray(intake.position, intake.position + length))
    const hasRoom = intake.filled(length)
    if (endsWithoutRoom && intake.position >= end) return
    if (!hasRoom) await intake.drained()
  }
}

/** Declares the right size and sends the rest of the content. */
export function sends(bytes: Uint8Array, mediaType?: string) {
  return async ({ intake }: Attempt): Promise<void> => {
    intake.expect({ size: bytes.length, mediaType })
    await pour(intake, bytes)
  }
}

/** Declares the right size, sends up to `end` and fails. */
export function diesAt(bytes: Uint8Array, end: number) {
  return async ({ intake }: Attempt): Promise<void> => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    await pour(intake, bytes, end)
    throw new Failure('unavailable', 'the connection broke')
  }
}

/** Declares the right size, sends up to `end`, and stalls until it is aborted. */
export function stallsAt(bytes: Uint8Array, end: number) {
  return async ({ intake, signal }: Attempt): Promise<void> => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    await pour(intake, bytes, end)
    await aborted(signal)
  }
}

export function fails(failure: Failure) {
  return async (): Promise<void> => {
    throw failure
  }
}

export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}
