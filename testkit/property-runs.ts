/**
 * How often a property is tried, and the seed of its cases, which are the same in every run. `LEAT_RUNS=10` tries ten
 * times as many cases, and `LEAT_SEED` tries others.
 */
export function runs(usual: number): { readonly numRuns: number; readonly seed: number } {
  const numRuns = usual * Number(process.env['LEAT_RUNS'] ?? 1)
  return { numRuns, seed: Number(process.env['LEAT_SEED'] ?? 7) }
}
