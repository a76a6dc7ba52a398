import { type Finding, notLookedAt } from './tools/finding.ts'

/** One thing that is looked at. */
export interface Check {
  readonly name: string
  look(options: { signal: AbortSignal }): Promise<readonly Finding[]>
}

export interface Diagnosis extends Finding {
  /** The name of its check. */
  readonly check: string
}

/** All checks at once, each within the time; what they found is in the order of the checks. */
export async function examine(
  checks: readonly Check[],
  { deadlineMs }: { deadlineMs: number },
): Promise<readonly Diagnosis[]> {
  const all = checks.map(async (check) => {
    const findings = await within(deadlineMs, check)
    return findings.map((finding) => ({ check: check.name, ...finding }))
  })
  return (await Promise.all(all)).flat()
}

/** One that cannot come to its end does not keep the others from being told. */
async function within(deadlineMs: number, check: Check): Promise<readonly Finding[]> {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<readonly Finding[]>((resolve) => {
    timer = setTimeout(() => {
      resolve([notLookedAt(`this took longer than ${deadlineMs / 1000} s`)])
      late.abort()
    }, deadlineMs)
  })
  try {
    return await Promise.race([check.look({ signal: late.signal }), tooLate])
  } catch (error) {
    return [notLookedAt(error instanceof Error ? error.message : String(error))]
  } finally {
    clearTimeout(timer)
  }
}
