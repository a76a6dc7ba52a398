import { plain, plural, sizeText, spanText } from '../../observe/text.ts'
import type { ImageProgress, WarmDone, WarmedImage, WarmProgress } from '../../schemas/warm-report.ts'
import { type DrawArea, fitRows } from '../terminal/bars.ts'
import { digestText } from '../terminal/table.ts'
import { fetchedTexts, fittingText, type ProgressRow, progressRows } from './progress-rows.ts'

export function imageText(line: WarmedImage, isInteractive: boolean): string {
  const { image, digest, parts, bytes, pinned, stale, foreign, referrers } = line
  const notes = [
    ...(referrers === 0 ? [] : [`with ${plural(referrers, 'referrer')}`]),
    ...(foreign === 0 ? [] : [`without ${plural(foreign, 'foreign layer')}`]),
    ...(pinned ? ['pinned'] : []),
    ...(stale ? ['stale: upstream could not be asked'] : []),
  ]
  const amount = `${plural(parts, 'part')}, ${sizeText(bytes)} (${originText(line)})`
  const what = [amount, ...notes].join(', ')
  return `stored  ${plain(image)}  ${digestText(digest ?? '', isInteractive)}  ${what}\n`
}

export function doneText(done: WarmDone): string {
  const { images, failed, bytes, ms } = done
  const which = failed === 0 ? plural(images, 'image') : `${images - failed} of ${plural(images, 'image')}`
  return `Warmed ${which} with ${sizeText(bytes)} in ${spanText(ms)}: ${originText(done)}.\n`
}

/** The progress of all images together. */
function totalParts(progress: WarmProgress): string[] {
  const { images, ofImages } = progress
  return [`${images} of ${plural(ofImages, 'image')}`, ...amountTexts(progress)]
}

/** The progress of all images together, and what one of them waits for, for a log. */
export function totalText(progress: WarmProgress): string {
  const waiting = progress.under.find(({ waitsFor }) => waitsFor !== undefined)
  const why =
    waiting?.waitsFor === undefined ? [] : [`${plain(waiting.image)} waits for ${plain(waiting.waitsFor)}`]
  return [...totalParts(progress), ...why].join(', ')
}

export function amountTexts(progress: Omit<WarmProgress, 'is' | 'under' | 'images' | 'ofImages'>): string[] {
  const { bytes, ofBytes, bytesPerSecond, secondsLeft, fetched } = progress
  return [
    `${sizeText(bytes)} of ${sizeText(ofBytes)}`,
    `${sizeText(bytesPerSecond)}/s`,
    ...(secondsLeft === null ? [] : [`${spanText(secondsLeft * 1000)} left`]),
    ...fetchedTexts(fetched),
  ]
}

/**
 * A line for each image in progress, and one for all together. When the area is too small, images with received bytes come
 * first.
 */
export function barLines(progress: WarmProgress, { columns, rows }: DrawArea): readonly string[] {
  const { under } = progress
  const images =
    under.length < rows ? under : [...under].sort((a, b) => Number(hasBytes(b)) - Number(hasBytes(a)))
  const lines = progressRows(images.map(imageRow), columns)
  const total = fittingText(totalParts(progress), columns)
  return [...fitRows(lines, rows - 1, (count) => `and ${plural(count, 'more image')}`), total]
}

function hasBytes({ isPlanned, bytes }: ImageProgress): boolean {
  return isPlanned && bytes > 0
}

function imageRow(image: ImageProgress): ProgressRow {
  const { image: name, isPlanned, waitsFor } = image
  if (waitsFor !== undefined) return { name, state: `waits: ${plain(waitsFor)}` }
  return isPlanned ? { name, amounts: image } : { name, state: 'reading manifests' }
}

export function originText({ hereBytes, fetched }: Pick<WarmDone, 'hereBytes' | 'fetched'>): string {
  const parts = [
    ...(hereBytes === 0 ? [] : [`${sizeText(hereBytes)} already stored`]),
    ...fetchedTexts(fetched),
  ]
  return parts.join(', ') || 'nothing to fetch'
}
