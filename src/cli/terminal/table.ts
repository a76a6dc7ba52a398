import { plain } from '../../observe/text.ts'

/** Aligns rows in columns. `rightAligned` has the indexes of numeric columns. The last column is not padded. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  rightAligned: readonly number[] = [],
): string {
  const all = [head, ...rows].map((row) => row.map(plain))
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const lines = all.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        if (rightAligned.includes(column)) return cell.padStart(width)
        return column === head.length - 1 ? cell : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

/** People get the first 12 digits, which are enough to compare; scripts get the whole digest. */
export function digestText(digest: string, isInteractive: boolean): string {
  const colon = digest.indexOf(':')
  return isInteractive ? digest.slice(0, colon + 13) : digest
}
