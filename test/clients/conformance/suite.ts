import { homedir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { findProgram, tryRun } from '../../../testkit/programs.ts'

/** What the conformance suite of the OCI distribution spec says at its end. */
export interface SuiteResult {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly errors: number
  /** The lines of checks that did not pass, and of what was left out. */
  readonly notPassed: readonly string[]
}

const SETTINGS = { OCI_TLS: 'disabled', OCI_VERSION: '1.1' }

/** Skips the test where the suite is not installed; `.ci/run` installs it. */
export function findSuite(t: TestContext): string | undefined {
  const path = findProgram('conformance', [join(homedir(), 'go/bin')])
  if (path !== undefined) return path
  t.skip(
    'missing: conformance (go install github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111)',
  )
  return undefined
}

/** Runs the suite in a folder of its own, in which it leaves its reports. */
export async function runSuite(
  path: string,
  folder: string,
  settings: Readonly<Record<string, string>>,
): Promise<SuiteResult> {
  const env = { ...SETTINGS, ...settings }
  // It exits with 0 when checks were skipped, and in read-only mode it panics after its totals: the output counts.
  const { stdout } = await tryRun(path, [], { env, cwd: folder, deadlineMs: 240_000 })
  const total = (name: string): number => {
    const found = new RegExp(`^ +${name}\\.+: +(\\d+)$`, 'm').exec(stdout)
    if (found === null) throw new Error(`the suite has said no total of "${name}":\n${stdout}`)
    return Number(found[1])
  }
  return {
    passed: total('Pass'),
    failed: total('FAIL'),
    skipped: total('Skip'),
    errors: total('Error'),
    notPassed: stdout.split('\n').filter((line) => /: +(?:FAIL|Skip|Error|Disabled)$/.test(line)),
  }
}
