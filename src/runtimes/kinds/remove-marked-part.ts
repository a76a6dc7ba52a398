import { RuntimeFailure } from '../files/failure.ts'
import { removeMarked } from '../files/markers.ts'
import type { RemovalOptions } from '../files/plan.ts'

/** For formats in which `#` starts a comment, and for PEM, in which any text may stand between the parts. */
export function removeMarkedPart(text: string, { path, before }: RemovalOptions): string | undefined {
  const { text: rest, wasFound, isDamaged } = removeMarked(text)
  if (isDamaged) {
    throw new RuntimeFailure(
      `${path} lacks some of the comments that begin with "# leat:", so the added lines cannot be recognised; remove them by hand, with their comments`,
    )
  }
  return wasFound && rest === '' && before === undefined ? undefined : rest
}
