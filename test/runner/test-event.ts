/** One event of Node's test runner, as a reporter receives it. Only the fields that the runner reads are declared. */
export interface TestEvent {
  readonly type: string
  readonly data: {
    readonly name?: string
    readonly nesting: number
    readonly skip?: string | boolean | undefined
    readonly todo?: string | boolean | undefined
    readonly details?: {
      /** Node 20 leaves it out for a test. */
      readonly type?: string | undefined
      readonly duration_ms?: number
      readonly error?: Error
    }
    readonly message?: string
  }
}

export function isOfSuite({ data }: TestEvent): boolean {
  return data.details?.type === 'suite'
}

/** The name of the check that follows each of several files in one process. */
export const END_OF_FILE = 'the file leaves nothing behind'
