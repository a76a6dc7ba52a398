import type { ObjectStoreReport } from '../schemas/object-store-report.ts'
import { plural, sizeText, spanText } from './text.ts'

/** Says for people how many of the contents for which it was asked the object store has brought. */
export function objectStoreReadsText({ reads, answerMs }: ObjectStoreReport): string {
  const { hit, miss, failed } = reads
  const asked = hit + miss + failed
  if (asked === 0) return 'not asked for a content yet'
  const share = Math.floor((100 * hit) / asked)
  const failures = failed === 0 ? '' : `, ${failed} failed`
  const after = answerMs === null ? '' : `, after ${spanText(answerMs)} on average`
  return `${hit} of ${plural(asked, 'content')} found (${share} %)${after}${failures}`
}

/** Says for people what has been uploaded, and what still is to be. */
export function objectStoreUploadsText({ uploads }: ObjectStoreReport): string {
  const { sent, there, sentBytes, waiting, dropped } = uploads
  const before = there === 0 ? '' : `, ${there} there already`
  const given = dropped === 0 ? '' : `, ${dropped} given up`
  return `${plural(sent, 'content')} (${sizeText(sentBytes)}) sent${before}, ${waiting} waiting${given}`
}
