import type { Settings } from '../../config/schema.ts'
import type { Terminal } from '../context/command.ts'

/** In which form the log is written to stderr. */
export interface LogFormat {
  readonly format: 'json' | 'pretty'
  readonly hasColor: boolean
}

export function logFormat(
  { logFormat: wanted }: Pick<Settings, 'logFormat'>,
  { isErrInteractive = false, env }: Pick<Terminal, 'isErrInteractive' | 'env'>,
): LogFormat {
  const format = wanted === 'auto' ? (isErrInteractive ? 'pretty' : 'json') : wanted
  // https://no-color.org: any value but the empty one.
  const isPlain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb'
  return { format, hasColor: isErrInteractive && !isPlain }
}
