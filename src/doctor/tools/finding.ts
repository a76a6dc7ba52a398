/**
 * ok: as it should be. warning: it works, but something should be changed. problem: something does not work.
 * not-checked: the check was not possible, or there is nothing to check.
 */
export type FindingState = 'ok' | 'warning' | 'problem' | 'not-checked'

/** One result of a check. It never contains a secret. */
export interface Finding {
  readonly state: FindingState
  /** What was found; if nothing was checked, why. */
  readonly found: string
  /** The effect of what was found. */
  readonly means: string | null
  /** The action that solves it. */
  readonly todo: string | null
}

/** The action for a check that needs the permissions of the agent. */
export const AS_ROOT = 'run agent doctor as root, or as the user of the agent'

interface Advice {
  readonly means?: string | undefined
  readonly todo?: string | undefined
}

export function ok(found: string): Finding {
  return finding('ok', found, {})
}

export function warning(found: string, advice: Advice): Finding {
  return finding('warning', found, advice)
}

export function problem(found: string, advice: Advice): Finding {
  return finding('problem', found, advice)
}

export function notChecked(why: string, todo?: string): Finding {
  return finding('not-checked', why, { todo })
}

function finding(state: FindingState, found: string, { means, todo }: Advice): Finding {
  return { state, found, means: means ?? null, todo: todo ?? null }
}
