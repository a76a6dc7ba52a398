import { RuntimeFailure } from '../files/failure.ts'
import { cutMarked } from '../files/marks.ts'
import type { CutOptions } from '../files/plan.ts'

/** For files in which `#` begins a comment, or which may hold any text between their parts, as PEM may. */
export function cutOurs(text: string, { path, before }: CutOptions): string | undefined {
  const { text: rest, found, damaged } = cutMarked(text)
  if (damaged) {
    throw new RuntimeFailure(
      `${path} has lost some of the comments that begin with "# leat:", so what was added cannot be told from the rest; take it out by hand, with its comments`,
    )
  }
  return found && rest === '' && before === undefined ? undefined : rest
}
