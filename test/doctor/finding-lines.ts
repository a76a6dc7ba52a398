import type { Finding } from '../../src/doctor/tools/finding.ts'

/** Findings as `state: what was found`. */
export function findingLines(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ state, found }) => `${state}: ${found}`)
}
