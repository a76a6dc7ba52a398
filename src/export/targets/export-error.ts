import { errorCode } from '../../lib/error-code.ts'

/** Why an export has stopped, in one sentence for people. */
export class ExportError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ExportError'
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; run the command as a user who may write there',
  EPERM: 'permission denied; run the command as a user who may write there',
  EROFS: 'the file system is read-only; write elsewhere',
  ENOSPC: 'the disk is full; free space there, and run the command again to continue',
  EDQUOT: 'the quota is used up; free space there, and run the command again to continue',
  ENOTDIR: 'a file is where a folder is needed; remove it, or write elsewhere',
  EISDIR: 'a folder is where a file is needed; remove it, or write elsewhere',
  EEXIST: 'a file is where a folder is needed; remove it, or write elsewhere',
  ENAMETOOLONG: 'the name is too long for this file system; write elsewhere',
}

/** Turns an error of the file system into an `ExportError` that names the path. Other errors are given back. */
export function writeError(error: unknown, path: string): unknown {
  const code = errorCode(error)
  if (code === undefined || error instanceof ExportError || !/^E[A-Z]+$/.test(code)) return error
  return new ExportError(`${path} cannot be written: ${REASONS[code] ?? code}`, { cause: error })
}
