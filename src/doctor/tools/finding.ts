/**
 * ok: as it should be. note: nothing is wrong, but somebody may want to know. warning: it works, but something should be
 * changed. problem: something that is used does not work. not-checked: the check was not possible, or there is nothing to
 * check.
 */
export type FindingState = 'ok' | 'note' | 'warning' | 'problem' | 'not-checked'

/** One result of a check. It never contains a secret. */
export interface Finding {
  /** Names what was found, for programs: it stays the same when the sentences change. */
  readonly id: string
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

export function ok(id: string, found: string): Finding {
  return finding(id, 'ok', found, {})
}

export function note(id: string, found: string, advice: Advice): Finding {
  return finding(id, 'note', found, advice)
}

export function warning(id: string, found: string, advice: Advice): Finding {
  return finding(id, 'warning', found, advice)
}

export function problem(id: string, found: string, advice: Advice): Finding {
  return finding(id, 'problem', found, advice)
}

export function notChecked(id: string, why: string, todo?: string): Finding {
  return finding(id, 'not-checked', why, { todo })
}

function finding(id: string, state: FindingState, found: string, { means, todo }: Advice): Finding {
  return { id, state, found, means: means ?? null, todo: todo ?? null }
}
