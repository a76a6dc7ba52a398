/** The known word that is most like `word`; undefined when none is close. Case, `-` and `_` are ignored. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = fold(word)
  let best: string | undefined
  let least = Math.max(1, Math.floor(plain.length / 3)) + 1
  for (const candidate of known) {
    const steps = distance(plain, fold(candidate))
    if (steps < least) {
      least = steps
      best = candidate
    }
  }
  return best
}

function fold(word: string): string {
  return word.slice(0, 64).toLowerCase().replace(/[-_]/g, '')
}

/** The optimal string alignment distance, which counts insertions, deletions, replacements and swaps of neighbours. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let steps = Math.min((row[j - 1] ?? 0) + 1, (above[j] ?? 0) + 1, (above[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        steps = Math.min(steps, (before[j - 2] ?? 0) + 1)
      }
      row.push(steps)
    }
    before = above
    above = row
  }
  return above[b.length] ?? 0
}
