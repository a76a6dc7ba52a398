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

const MAX_QUOTED = 200

/** Text from outside as a problem quotes it: the beginning of it, on one line. */
export function shortText(text: string): string {
  const line = text.replace(/\p{Cc}/gu, '?')
  return line.length <= MAX_QUOTED ? line : `${line.slice(0, MAX_QUOTED)}…`
}
