import type { VouchedIntake } from '../../../ports/source.ts'

/** The same intake, of which only the bytes before `end` are wanted now. */
export function segmentOf(intake: VouchedIntake, end: number): VouchedIntake {
  return {
    get position() {
      return intake.position
    },
    end,
    expect: (head) => intake.expect(head),
    buffer: () => intake.buffer(),
    nextBuffer: () => intake.nextBuffer?.(),
    filled: (length) => intake.filled(length),
    drained: () => intake.drained(),
    setContributor: (peer) => intake.setContributor(peer),
    vouch: (first, checkpoints) => intake.vouch(first, checkpoints),
  }
}
