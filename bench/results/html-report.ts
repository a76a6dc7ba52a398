import { type Check, type Figure, type Row, result, spread, target } from '../report.ts'
import { barChart, rangeChart } from './charts.ts'
import { escapeHtml } from './escape-html.ts'
import { REPORT_STYLE } from './report-style.ts'
import type { BenchResult } from './result-file.ts'

/** Writes a run as one file without scripts, which loads nothing. Missed targets come first. */
export function htmlReport(run: BenchResult): string {
  const { startedAt, isQuick, machine, rows, failures } = run
  const day = startedAt.slice(0, 16).replace('T', ' ')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Leat: bench of ${day}</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
<h1>Leat: bench</h1>
<p>${escapeHtml(`${day} UTC${isQuick ? ', with few repetitions' : ''}. ${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Node ${machine.node}, SHA-256 ${machine.sha256MBps} MB/s on one core, load ${machine.load.join(' ')} at the start, data ${machine.folderIsTmpfs ? 'in memory' : 'on disk'}.`)}</p>
<p class="muted">${escapeHtml(machine.programs.join(' | '))}</p>
${missedSection(rows)}
${failures.map(({ group, message }) => `<p class="missed">${escapeHtml(`${group} could not be measured: ${message}`)}</p>`).join('\n')}
${[...new Set(rows.map(({ group }) => group))].map((group) => groupSection(group, rows)).join('\n')}
</body>
</html>
`
}

function missedSection(rows: readonly Row[]): string {
  const judged = rows.flatMap((row) => row.checks.map((check) => ({ row, check })))
  const withTarget = judged.filter(({ check }) => result(check) !== '')
  const missed = withTarget.filter(({ check }) => result(check) === 'MISSED')
  const items = missed.map(
    ({ row, check }) =>
      `<li>${escapeHtml(`${row.group}: ${row.name}: ${check.label}: ${spread(check.values, check.unit)}, ${target(check)}`)}${notesOf(row)}</li>`,
  )
  return `<h2>Missed targets</h2>
<p>${withTarget.length - missed.length} of ${withTarget.length} targets are met.</p>
<ul>${items.join('\n')}</ul>`
}

function groupSection(group: string, rows: readonly Row[]): string {
  return `<h2>${escapeHtml(group)}</h2>
${rows
  .filter((row) => row.group === group)
  .map(rowSection)
  .join('\n')}`
}

function rowSection(row: Row): string {
  const units = [...new Set(row.figures.map(({ unit }) => unit))]
  return `<section>
<h3>${escapeHtml(row.name)}</h3>
${units.map((unit) => figures(row.figures.filter((figure) => figure.unit === unit))).join('\n')}
${row.checks.map(checkLine).join('\n')}
${notesOf(row)}
</section>`
}

function figures(of: readonly Figure[]): string {
  return barChart(
    of.map(({ side, unit, values, note }) => ({
      name: side,
      values,
      text: `${spread(values, unit)}${note === undefined ? '' : `; ${note}`}`,
    })),
  )
}

function checkLine(check: Check): string {
  const { atLeast, atMost, label, unit, values } = check
  const verdict = result(check)
  const words = `${label}: ${spread(values, unit)}${target(check) === '' ? '' : `, ${target(check)}`}`
  return `<div class="check"><p class="${verdict === 'MISSED' ? 'missed' : ''}">${escapeHtml(words)} ${verdict}</p>
${rangeChart({ values, limits: [atLeast, atMost].flatMap((limit) => limit ?? []), text: words })}</div>`
}

function notesOf({ notes }: Row): string {
  return notes.map((note) => `<p class="muted">${escapeHtml(note)}</p>`).join('\n')
}
