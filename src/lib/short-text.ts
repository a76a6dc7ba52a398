const MAX_LENGTH = 200

/** Text from outside as a message quotes it: the beginning of it, on one line. */
export function shortText(text: string): string {
  const line = text.replace(/\p{Cc}/gu, '?')
  return line.length <= MAX_LENGTH ? line : `${line.slice(0, MAX_LENGTH)}…`
}
