import { plain } from '../../observe/text.ts'

/** Rows in columns that line up; `right` columns hold amounts. The last column is not padded. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const all = [head, ...rows].map((row) => row.map(plain))
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const lines = all.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        if (right.includes(column)) return cell.padStart(width)
        return column === head.length - 1 ? cell : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

/** A person compares the first few digits; a program, or a person with a pipe, gets them all. */
export function digestText(digest: string, isInteractive: boolean): string {
  const colon = digest.indexOf(':')
  return isInteractive ? digest.slice(0, colon + 13) : digest
}
