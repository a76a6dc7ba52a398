import { median } from '../stats.ts'
import { escapeHtml } from './escape-html.ts'

const WIDTH = 640
const NAME_WIDTH = 280
const BAR_HEIGHT = 18
const GAP = 6

export interface Bar {
  readonly name: string
  readonly values: readonly number[]
  /** The values in words. */
  readonly text: string
}

/** Draws the medians as bars, with a line from the lowest to the highest value, and the words beside them. */
export function barChart(bars: readonly Bar[]): string {
  const most = Math.max(...bars.flatMap(({ values }) => values.filter(Number.isFinite)), 0)
  if (most === 0) return bars.map(({ name, text }) => `<p>${escapeHtml(`${name}: ${text}`)}</p>`).join('\n')
  const scale = (value: number): number => round((Math.max(0, value) / most) * (WIDTH - NAME_WIDTH))
  const height = bars.length * 2 * (BAR_HEIGHT + GAP)
  const drawn = bars.map(({ name, values, text }, at) => {
    const y = at * 2 * (BAR_HEIGHT + GAP)
    const middle = y + BAR_HEIGHT / 2
    const [low, high] = [Math.min(...values), Math.max(...values)].map(scale)
    return `<text x="0" y="${y + 13}">${escapeHtml(name)}</text>
<rect x="${NAME_WIDTH}" y="${y}" width="${scale(median(values))}" height="${BAR_HEIGHT}" class="bar"/>
<line x1="${NAME_WIDTH + (low ?? 0)}" x2="${NAME_WIDTH + (high ?? 0)}" y1="${middle}" y2="${middle}" class="spread"/>
<text x="${NAME_WIDTH}" y="${y + BAR_HEIGHT + 16}" class="words">${escapeHtml(text)}</text>`
  })
  return svg(height, bars.map(({ name, text }) => `${name}: ${text}`).join('; '), drawn.join('\n'))
}

/** Draws the values of a check on a line that begins at 0, with a mark for each limit of its target. */
export function rangeChart({
  values,
  limits,
  text,
}: {
  readonly values: readonly number[]
  readonly limits: readonly number[]
  readonly text: string
}): string {
  const finite = values.filter(Number.isFinite)
  const most = Math.max(...finite, ...limits, 0)
  if (finite.length === 0 || most === 0 || limits.length === 0) return ''
  const scale = (value: number): number => round((Math.max(0, value) / most) * (WIDTH - 10)) + 5
  const marks = limits.map(
    (limit) => `<line x1="${scale(limit)}" x2="${scale(limit)}" y1="0" y2="20" class="limit"/>`,
  )
  return svg(
    20,
    text,
    `<line x1="5" x2="${WIDTH - 5}" y1="10" y2="10" class="axis"/>
<line x1="${scale(Math.min(...finite))}" x2="${scale(Math.max(...finite))}" y1="10" y2="10" class="spread"/>
<circle cx="${scale(median(finite))}" cy="10" r="5" class="median"/>
${marks.join('\n')}`,
  )
}

function svg(height: number, label: string, content: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(label)}">
${content}
</svg>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
