import { type Finding, notChecked } from './tools/finding.ts'

/** One part of the node that is checked. */
export interface Check {
  readonly name: string
  run(options: { signal: AbortSignal }): Promise<readonly Finding[]>
}

export interface Diagnosis extends Finding {
  /** The name of the check. */
  readonly check: string
}

/** Runs all checks at once, each with the deadline. The findings are in the order of the checks. */
export async function runChecks(
  checks: readonly Check[],
  { deadlineMs }: { deadlineMs: number },
): Promise<readonly Diagnosis[]> {
  const all = checks.map(async (check) => {
    const findings = await runCheck(check, deadlineMs)
    return findings.map((finding) => ({ check: check.name, ...finding }))
  })
  return (await Promise.all(all)).flat()
}

/** A check that hangs or throws becomes a finding, so that the others are still reported. */
async function runCheck(check: Check, deadlineMs: number): Promise<readonly Finding[]> {
  const deadline = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const timedOut = new Promise<readonly Finding[]>((resolve) => {
    timer = setTimeout(() => {
      resolve([notChecked('check-timed-out', `the check took longer than ${deadlineMs / 1000} s`)])
      deadline.abort()
    }, deadlineMs)
  })
  try {
    return await Promise.race([check.run({ signal: deadline.signal }), timedOut])
  } catch (error) {
    return [notChecked('check-failed', error instanceof Error ? error.message : String(error))]
  } finally {
    clearTimeout(timer)
  }
}
