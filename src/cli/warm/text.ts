import { plain, plural, sizeText, spanText } from '../../observe/text.ts'
import type { ImageProgress, WarmDone, WarmedImage, WarmProgress } from '../../schemas/warm-report.ts'
import { type DrawArea, fitRows } from '../terminal/bars.ts'
import { digestText } from '../terminal/table.ts'

const MAX_BAR_WIDTH = 30
/** A narrower bar shows too few steps to be useful. */
const MIN_BAR_WIDTH = 8
export const MAX_NAME_WIDTH = 48

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
export function totalText(progress: WarmProgress): string {
  const { images, ofImages } = progress
  return [`${images} of ${plural(ofImages, 'image')}`, ...amountTexts(progress)].join(', ')
}

export function amountTexts(progress: Omit<WarmProgress, 'is' | 'under' | 'images' | 'ofImages'>): string[] {
  const { bytes, ofBytes, bytesPerSecond, secondsLeft, fetched } = progress
  return [
    `${sizeText(bytes)} of ${sizeText(ofBytes)}`,
    `${sizeText(bytesPerSecond)}/s`,
    ...(secondsLeft === null ? [] : [`${spanText(secondsLeft * 1000)} left`]),
    ...fetchedText(fetched),
  ]
}

/**
 * A line for each image in progress, and one for all together. When the area is too small, images with received bytes come
 * first.
 */
export function barLines(progress: WarmProgress, { columns, rows }: DrawArea): readonly string[] {
  const { under } = progress
  const nameWidth = Math.min(MAX_NAME_WIDTH, Math.max(...under.map(({ image }) => image.length), 0))
  const images =
    under.length < rows ? under : [...under].sort((a, b) => Number(hasBytes(b)) - Number(hasBytes(a)))
  const lines = images.map((image) => barLine(image, nameWidth, columns))
  return [...fitRows(lines, rows - 1, (count) => `and ${plural(count, 'more image')}`), totalText(progress)]
}

function hasBytes({ isPlanned, bytes }: ImageProgress): boolean {
  return isPlanned && bytes > 0
}

function barLine(image: ImageProgress, nameWidth: number, columns: number): string {
  const name = fitName(image.image, nameWidth)
  if (!image.isPlanned) return `${name}  reading manifests`
  return bar(name, image, columns)
}

/** Cuts or pads a name to `width` characters. The end of an image name is cut last, as it distinguishes most. */
export function fitName(name: string, width: number): string {
  const text = plain(name)
  return text.length > width ? `…${text.slice(1 - width)}` : text.padEnd(width)
}

export function bar(
  name: string,
  { bytes, ofBytes, fetched }: Pick<WarmProgress, 'bytes' | 'ofBytes' | 'fetched'>,
  columns: number,
): string {
  const ratio = ofBytes === 0 ? 1 : Math.min(1, bytes / ofBytes)
  const percent = `${String(Math.floor(100 * ratio)).padStart(3)}%`
  const amount = [`${sizeText(bytes)} of ${sizeText(ofBytes)}`, ...fetchedText(fetched)].join(', ')
  const barWidth = Math.min(MAX_BAR_WIDTH, columns - name.length - percent.length - amount.length - 7)
  if (barWidth < MIN_BAR_WIDTH) return `${name} ${percent}  ${amount}`
  const filled = Math.floor(barWidth * ratio)
  const drawn = `${'='.repeat(filled)}${filled < barWidth ? '>' : ''}`.padEnd(barWidth)
  return `${name}  [${drawn}] ${percent}  ${amount}`
}

export function originText({ hereBytes, fetched }: Pick<WarmDone, 'hereBytes' | 'fetched'>): string {
  const parts = [
    ...(hereBytes === 0 ? [] : [`${sizeText(hereBytes)} already stored`]),
    ...fetchedText(fetched),
  ]
  return parts.join(', ') || 'nothing to fetch'
}

function fetchedText({ peer, upstream }: WarmDone['fetched']): readonly string[] {
  return [
    ...(peer === 0 ? [] : [`${sizeText(peer)} from peers`]),
    ...(upstream === 0 ? [] : [`${sizeText(upstream)} from upstream`]),
  ]
}
