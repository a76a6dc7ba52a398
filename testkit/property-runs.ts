import fc from 'fast-check'

const SEED = Number(process.env['LEAT_SEED'] ?? 7)
const FACTOR = Number(process.env['LEAT_RUNS'] ?? 1)
const USUAL_RUNS = 100

// Every property is tried with the same cases in every run, so that no test fails by chance.
fc.configureGlobal({ seed: SEED, numRuns: USUAL_RUNS * FACTOR })

export { fc }

/**
 * How often a property is tried, and the seed of its cases. `LEAT_RUNS=10` tries ten times as many cases, and `LEAT_SEED`
 * tries others.
 */
export function runs(usual: number): { readonly numRuns: number; readonly seed: number } {
  return { numRuns: usual * FACTOR, seed: SEED }
}
