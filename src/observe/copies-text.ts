import type { CopiesReport } from '../schemas/object-store-report.ts'
import { plural, sizeText } from './text.ts'

/** Says for people what the agent has copied into a bucket, and what still is to be. */
export function copiesText(report: CopiesReport): string {
  const { bucket, copied, sentBytes, waiting, current, failed, dropped, problem } = report
  const saved = savedText(report.savedBytes, report.savedCost)
  return [
    `${bucket}: ${plural(copied, 'image')} (${sizeText(sentBytes)} sent${saved}), ${waiting} waiting`,
    ...(current === null
      ? []
      : [`copying ${current.image}, ${sizeText(current.bytes)} of ${sizeText(current.ofBytes)}`]),
    ...(dropped === 0 ? [] : [`${plural(dropped, 'tag')} removed`]),
    ...(failed === 0 ? [] : [`${plural(failed, 'attempt')} failed`]),
    ...(problem === null ? [] : [problem]),
  ].join('; ')
}

/** Says how much a copy did not have to send, and what that is worth by the price of the settings. */
function savedText(bytes: number, cost: number | null): string {
  if (bytes === 0) return ''
  return `, ${sizeText(bytes)} already there${cost === null ? '' : `, worth ${cost.toFixed(2)}`}`
}
