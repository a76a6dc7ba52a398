import { plain } from '../../observe/text.ts'
import { table } from './table.ts'

/** A shorter name tells nothing. */
const LEAST_NAME_WIDTH = 16
const GAP = 2

export interface Column<Item> {
  readonly head: string
  readonly isNumber?: boolean
  readonly text: (item: Item) => string
}

/**
 * A table of at most `columns` characters. When it is too wide, the columns at the end are left out one after the other;
 * then the first one, with the names, is cut in the middle. `order` has the columns by their importance.
 */
export function fittingTable<Item>(
  items: readonly Item[],
  columns: readonly Column<Item>[],
  { width, least }: { readonly width: number; readonly least: number },
): string {
  const cells = items.map((item) => columns.map(({ text }) => plain(text(item))))
  const widths = columns.map(({ head }, at) =>
    Math.max(head.length, ...cells.map((row) => row[at]?.length ?? 0)),
  )
  const [nameWidth = 0] = widths
  const restOf = (count: number): number => widths.slice(1, count).reduce((sum, one) => sum + GAP + one, 0)
  let shown = columns.length
  while (shown > least && Math.min(nameWidth, LEAST_NAME_WIDTH * 2) + restOf(shown) > width) shown -= 1
  const fitting = Math.min(nameWidth, Math.max(LEAST_NAME_WIDTH, width - restOf(shown)))
  const rows = cells.map(([name = '', ...rest]) => [shortened(name, fitting), ...rest.slice(0, shown - 1)])
  const numbers = columns.slice(0, shown).flatMap(({ isNumber }, at) => (isNumber === true ? [at] : []))
  const heads = columns.slice(0, shown).map(({ head }) => head)
  return table(heads, rows, numbers)
}

/** Cuts the middle of a name: its ends, registry and tag, tell most. */
export function shortened(name: string, width: number): string {
  if (name.length <= width) return name
  const end = Math.ceil((width - 1) * 0.6)
  return `${name.slice(0, width - 1 - end)}…${name.slice(name.length - end)}`
}
