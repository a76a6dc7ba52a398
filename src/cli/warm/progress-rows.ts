import { plain, sizeText } from '../../observe/text.ts'
import type { WarmDone, WarmProgress } from '../../schemas/warm-report.ts'

const MAX_NAME_WIDTH = 48
/** A shorter name does not tell images apart; rather the bar is left out. */
const LEAST_NAME_WIDTH = 12
const MAX_BAR_WIDTH = 30
/** A narrower bar shows too few steps to be useful. */
const LEAST_BAR_WIDTH = 8
/** `[`, `]` and the spaces between name, bar, percentage and amount. */
const GAPS = 7
const PERCENT_WIDTH = 4

/** An image or a node: how far it is, or what it does. */
export type ProgressRow = { readonly name: string } & (
  | { readonly amounts: Pick<WarmProgress, 'bytes' | 'ofBytes' | 'fetched'>; readonly state?: undefined }
  | { readonly state: string; readonly amounts?: undefined }
)

interface Layout {
  readonly nameWidth: number
  readonly barWidth: number
  readonly amountOf: (row: ProgressRow) => string
}

/** Lines of at most `columns` characters: name, bar, percentage, amount. A narrow terminal gets fewer of them. */
export function progressRows(rows: readonly ProgressRow[], columns: number): readonly string[] {
  const layout = layoutFor(rows, columns)
  return rows.map((row) => {
    const name = fitName(row.name, layout.nameWidth)
    const line = row.amounts === undefined ? `${name}  ${row.state}` : amountLine(name, row, layout)
    return line.slice(0, columns).trimEnd()
  })
}

/** The first parts that fit. */
export function fittingText(parts: readonly string[], columns: number): string {
  let text = ''
  for (const part of parts) {
    const longer = text === '' ? part : `${text}, ${part}`
    if (longer.length > columns) break
    text = longer
  }
  return text === '' ? (parts[0] ?? '').slice(0, columns) : text
}

export function fetchedTexts({ peer, objectStore, upstream }: WarmDone['fetched']): readonly string[] {
  return [
    ...(peer === 0 ? [] : [`${sizeText(peer)} from peers`]),
    ...(objectStore === 0 ? [] : [`${sizeText(objectStore)} from the object store`]),
    ...(upstream === 0 ? [] : [`${sizeText(upstream)} from upstream`]),
  ]
}

/** The first layout in which names are long enough: with everything, without the origin, without the bar, without the amount. */
function layoutFor(rows: readonly ProgressRow[], columns: number): Layout {
  const wanted = Math.min(MAX_NAME_WIDTH, Math.max(0, ...rows.map(({ name }) => plain(name).length)))
  const least = Math.min(wanted, LEAST_NAME_WIDTH)
  for (const [amountOf, leastBar, leastName] of [
    [fullAmount, LEAST_BAR_WIDTH, wanted],
    [shortAmount, LEAST_BAR_WIDTH, least],
    [shortAmount, 0, least],
  ] as const) {
    const rest = columns - GAPS - PERCENT_WIDTH - Math.max(0, ...rows.map((row) => amountOf(row).length))
    const nameWidth = Math.min(wanted, rest - leastBar)
    if (nameWidth < leastName) continue
    const barWidth = leastBar === 0 ? 0 : Math.min(MAX_BAR_WIDTH, rest - nameWidth)
    return { nameWidth, barWidth, amountOf }
  }
  return {
    nameWidth: Math.max(1, Math.min(wanted, columns - PERCENT_WIDTH - 1)),
    barWidth: 0,
    amountOf: () => '',
  }
}

function fullAmount(row: ProgressRow): string {
  return row.amounts === undefined ? '' : [shortAmount(row), ...fetchedTexts(row.amounts.fetched)].join(', ')
}

function shortAmount({ amounts }: ProgressRow): string {
  return amounts === undefined ? '' : `${sizeText(amounts.bytes)} of ${sizeText(amounts.ofBytes)}`
}

function amountLine(name: string, row: ProgressRow, { barWidth, amountOf }: Layout): string {
  const { bytes, ofBytes } = row.amounts ?? { bytes: 0, ofBytes: 0 }
  const ratio = ofBytes === 0 ? 1 : Math.min(1, bytes / ofBytes)
  const percent = `${String(Math.floor(100 * ratio)).padStart(PERCENT_WIDTH - 1)}%`
  if (barWidth === 0) return `${name} ${percent}  ${amountOf(row)}`
  const filled = Math.floor(barWidth * ratio)
  const drawn = `${'='.repeat(filled)}${filled < barWidth ? '>' : ''}`.padEnd(barWidth)
  return `${name}  [${drawn}] ${percent}  ${amountOf(row)}`
}

/** Cuts or pads a name to `width` characters. The end of an image name is cut last, as it distinguishes most. */
function fitName(name: string, width: number): string {
  const text = plain(name)
  return text.length > width ? `…${text.slice(text.length - width + 1)}` : text.padEnd(width)
}
