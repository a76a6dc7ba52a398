/** Gives the code of an error, such as `ENOSPC` or `LEVEL_LOCKED`, if it has one. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
