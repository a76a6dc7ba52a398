/**
 * ok: as it should be. warning: it works, and something should be changed. problem: something does not work.
 * not-looked-at: could not be looked at, or there is nothing to look at.
 */
export type State = 'ok' | 'warning' | 'problem' | 'not-looked-at'

/** What a look at one thing has come to. Never holds a secret. */
export interface Finding {
  readonly state: State
  /** What was found; where nothing was looked at, why. */
  readonly found: string
  /** What follows from it. */
  readonly means: string | null
  readonly todo: string | null
}

interface More {
  readonly means?: string | undefined
  readonly todo?: string | undefined
}

export function ok(found: string): Finding {
  return finding('ok', found, {})
}

export function warning(found: string, more: More): Finding {
  return finding('warning', found, more)
}

export function problem(found: string, more: More): Finding {
  return finding('problem', found, more)
}

export function notLookedAt(why: string, todo?: string): Finding {
  return finding('not-looked-at', why, { todo })
}

function finding(state: State, found: string, { means, todo }: More): Finding {
  return { state, found, means: means ?? null, todo: todo ?? null }
}
