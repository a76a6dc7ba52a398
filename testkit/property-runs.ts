/**
 * How often a property is tried, and from which seed, so that every run of a suite tries the same; `LEAT_RUNS=10` tries
 * ten times as often, and `LEAT_SEED` tries others.
 */
export function runs(usual: number): { readonly numRuns: number; readonly seed: number } {
  const numRuns = usual * Number(process.env['LEAT_RUNS'] ?? 1)
  return { numRuns, seed: Number(process.env['LEAT_SEED'] ?? 7) }
}
