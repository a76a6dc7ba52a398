import type { Intake, VouchedIntake } from './source.ts'

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
