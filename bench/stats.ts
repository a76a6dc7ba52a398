export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Interpolates between the two nearest ranks; NaN without values. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const rank = ((sorted.length - 1) * percent) / 100
  const below = sorted[Math.floor(rank)] ?? Number.NaN
  const above = sorted[Math.ceil(rank)] ?? Number.NaN
  return below + (above - below) * (rank - Math.floor(rank))
}

/** The ratio of each repetition, because a change of the machine's speed affects both values of a pair. */
export function ratios(over: readonly number[], under: readonly number[]): number[] {
  return over.slice(0, under.length).map((value, at) => value / (under[at] ?? Number.NaN))
}

/** The growth of `y` per step of `x`, by least squares. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const meanX = points.reduce((sum, point) => sum + point.x, 0) / points.length
  const meanY = points.reduce((sum, point) => sum + point.y, 0) / points.length
  let up = 0
  let down = 0
  for (const { x, y } of points) {
    up += (x - meanX) * (y - meanY)
    down += (x - meanX) ** 2
  }
  return down === 0 ? 0 : up / down
}
