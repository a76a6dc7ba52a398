import { plain } from '../../observe/text.ts'
import type { FileState } from '../../runtimes/changes.ts'
import type { RuntimeReport } from '../../runtimes/settings.ts'

export type Action = 'install' | 'uninstall' | 'show'

interface Context {
  readonly action: Action
  readonly isRehearsal: boolean
  readonly address: string
}

const DONE: Readonly<Record<FileState, string>> = {
  created: 'wrote',
  changed: 'changed',
  current: 'unchanged',
  restored: 'restored, byte for byte',
  removed: 'removed',
  cut: 'changed by others since: took out only what install had put in',
  gone: 'removed by others since: left so',
}
const WOULD: Readonly<Record<FileState, string>> = {
  created: 'would be written',
  changed: 'would be changed',
  current: 'is as it should be',
  restored: 'would be restored, byte for byte',
  removed: 'would be removed',
  cut: 'has been changed by others: only what install put in would be taken out',
  gone: 'has been removed by others: would be left so',
}

export function runtimeText(reports: readonly RuntimeReport[], context: Context): string {
  return reports.map((report) => section(report, context)).join('')
}

function section(report: RuntimeReport, context: Context): string {
  const words = context.isRehearsal ? WOULD : DONE
  const lines = [
    `${report.name}${headline(report, context)}`,
    ...report.files.map(({ path, state }) => `  ${path}: ${words[state]}`),
    ...report.todo.map((text) => `  to do: ${text}`),
    ...(report.followUp === undefined
      ? []
      : [`  ${context.isRehearsal ? 'after that' : 'now'}: ${report.followUp}`]),
    ...report.notes.map((text) => `  note: ${text}`),
  ]
  return `${lines.map(plain).join('\n')}\n`
}

function headline(
  { failure, files, pointsHere, byOthers }: RuntimeReport,
  { action, address }: Context,
): string {
  if (failure !== undefined) return files.length === 0 ? ': nothing was done' : ': not all could be done'
  if (action === 'uninstall') return files.length === 0 ? ': nothing of ours is there' : ''
  if (pointsHere === true) return `: asks ${address} first`
  if (byOthers.length > 0) return `: asks ${address} first, but only for ${byOthers.join(', ')}`
  return `: does not ask ${address}`
}
