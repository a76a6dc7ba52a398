/** Why the settings of a runtime cannot be read or written, in one sentence that says what to do. */
export class RuntimeFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RuntimeFailure'
  }
}
