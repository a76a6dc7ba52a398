import { plain } from '../../observe/text.ts'
import type { FileState } from '../../runtimes/changes.ts'
import type { RuntimeReport } from '../../runtimes/report.ts'

export type Action = 'install' | 'uninstall' | 'show'

interface TextContext {
  readonly action: Action
  readonly isDryRun: boolean
  readonly address: string
}

const DONE_TEXTS: Readonly<Record<FileState, string>> = {
  created: 'created',
  changed: 'changed',
  current: 'unchanged',
  restored: 'restored byte for byte',
  removed: 'removed',
  cut: 'modified since the installation: removed only what install had added',
  gone: 'deleted since the installation: not restored',
}
const DRY_RUN_TEXTS: Readonly<Record<FileState, string>> = {
  created: 'would be created',
  changed: 'would be changed',
  current: 'is up to date',
  restored: 'would be restored byte for byte',
  removed: 'would be removed',
  cut: 'was modified since the installation: only what install added would be removed',
  gone: 'was deleted since the installation: would not be restored',
}

export function runtimeText(reports: readonly RuntimeReport[], context: TextContext): string {
  return reports.map((report) => section(report, context)).join('')
}

function section(report: RuntimeReport, context: TextContext): string {
  const stateTexts = context.isDryRun ? DRY_RUN_TEXTS : DONE_TEXTS
  const lines = [
    `${report.name}${headline(report, context)}`,
    ...report.files.flatMap(({ path, state, diff }) => [
      `  ${path}: ${stateTexts[state]}`,
      ...(diff === undefined
        ? []
        : diff
            .trimEnd()
            .split('\n')
            .map((line) => `    ${line}`)),
    ]),
    ...report.todo.map((text) => `  to do: ${text}`),
    ...(report.followUp === undefined
      ? []
      : [`  ${context.isDryRun ? 'after that' : 'now'}: ${report.followUp}`]),
    ...report.notes.map((text) => `  note: ${text}`),
  ]
  return `${lines.map(plain).join('\n')}\n`
}

function headline(
  { failure, files, pointsHere, byOthers }: RuntimeReport,
  { action, address }: TextContext,
): string {
  if (failure !== undefined)
    return files.length === 0 ? ': failed, nothing was changed' : ': failed, only some files were changed'
  if (action === 'uninstall') return files.length === 0 ? ': nothing to remove' : ''
  if (pointsHere === true) return `: asks ${address} first`
  if (byOthers.length > 0) return `: asks ${address} first, but only for ${byOthers.join(', ')}`
  return `: does not ask ${address}`
}
