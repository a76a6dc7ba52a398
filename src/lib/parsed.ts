/** What became of text from outside: a value, or one sentence that says what is wrong with it. */
export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: string }

export function parsed<Value>(value: Value): Parsed<Value> {
  return { ok: true, value }
}

export function refused(problem: string): Parsed<never> {
  return { ok: false, problem }
}
