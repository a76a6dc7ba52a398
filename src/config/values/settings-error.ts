/** Settings that cannot be used. The message is one sentence that names the location and the allowed values. */
export class SettingsError extends Error {
  /** All mistakes that were found at once, each a sentence; the first one is the message. */
  readonly mistakes: readonly string[]

  constructor(message: string, options?: ErrorOptions & { readonly others?: readonly string[] }) {
    super(message, options)
    this.name = 'SettingsError'
    this.mistakes = [message, ...(options?.others ?? [])]
  }
}

/** Calls each of `reads`, and throws one `SettingsError` with the mistakes of all. */
export function readAll<Value>(reads: readonly (() => Value)[]): Value[] {
  const values: Value[] = []
  const found: SettingsError[] = []
  for (const read of reads) {
    try {
      values.push(read())
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      found.push(error)
    }
  }
  const [first] = found
  if (first === undefined) return values
  const [, ...others] = found.flatMap(({ mistakes }) => mistakes)
  throw new SettingsError(first.message, { cause: first.cause, others })
}
