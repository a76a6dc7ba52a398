/** The result of parsing a text from outside: a value, or a sentence that says what is wrong with the text. */
export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: string }

export function parsed<Value>(value: Value): Parsed<Value> {
  return { ok: true, value }
}

export function refused(problem: string): Parsed<never> {
  return { ok: false, problem }
}
