import type { WhyReport } from '../schemas/why-report.ts'
import { plain } from './text.ts'
import { type WhyFact, type WhyLine, whyFacts, whySubject } from './why-facts.ts'

/** The width of `requests: `, the longest label. */
const LABEL_WIDTH = 10

/** Lays out a report as `agent why` prints it. */
export function whyText(report: WhyReport, now: number): string {
  const lines = [plain(whySubject(report)), ...whyFacts(report, now).flatMap(factLines)]
  return `${lines.join('\n')}\n`
}

function factLines({ label, lines }: WhyFact): string[] {
  return lines
    .filter(({ isMinor }) => isMinor !== true)
    .flatMap((line, i) => {
      const start = i === 0 ? `${label}:`.padEnd(LABEL_WIDTH) : ' '.repeat(LABEL_WIDTH)
      const details = line.details ?? []
      return [
        `${start}${plain(lineText(line))}`,
        ...details.map((detail) => `${' '.repeat(LABEL_WIDTH + 2)}${plain(detail)}`),
      ]
    })
}

function lineText({ text, digest }: WhyLine): string {
  return digest === undefined ? text : `${digest}  ${text}`
}
