import { errorCode } from '../../lib/error-code.ts'
import { RuntimeFailure } from './failure.ts'

/** Part of the message of a failure that another user would not have. */
export const PERMISSION_DENIED = 'permission denied; run the command as root'

const REASONS: Readonly<Record<string, string>> = {
  EACCES: PERMISSION_DENIED,
  EPERM: PERMISSION_DENIED,
  EROFS: 'the file system is read-only; mount it writable, or put the settings into the image of this host',
  ENOSPC: 'no space is left; free space and run the command again',
  EDQUOT: 'no space is left; free space and run the command again',
  EBUSY: 'it is a mount point and cannot be replaced; mount its folder instead',
}

/** Explains an error of the file system. A `RuntimeFailure` is returned as it is. */
export function fileFailure(verb: 'read' | 'write' | 'remove', path: string, cause: unknown): RuntimeFailure {
  if (cause instanceof RuntimeFailure) return cause
  const code = errorCode(cause)
  return new RuntimeFailure(`cannot ${verb} ${path}: ${REASONS[code ?? ''] ?? code ?? String(cause)}`, {
    cause,
  })
}

export function isAbsent(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}
