import { plain, plural, sizeText, spanText } from '../../observe/text.ts'
import type { ImageProgress, WarmDone, WarmedImage, WarmProgress } from '../../schemas/warm-report.ts'
import { fitting, type Room } from '../terminal/bars.ts'
import { digestText } from '../terminal/table.ts'

const WIDEST_BAR = 30
/** Below that a bar says nothing. */
const NARROWEST_BAR = 8
export const MOST_NAME = 48

export function imageText(line: WarmedImage, isInteractive: boolean): string {
  const { image, digest, parts, bytes, pinned, stale, foreign, referrers } = line
  const notes = [
    ...(referrers === 0
      ? []
      : [`with ${plural(referrers, 'signature or the like', 'signatures and the like')}`]),
    ...(foreign === 0 ? [] : [`without ${plural(foreign, 'layer')} that no registry has`]),
    ...(pinned ? ['pinned'] : []),
    ...(stale ? ['as it was before: upstream cannot be asked'] : []),
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

/** How far all of it is. */
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

/** A line for each image under way, those that have begun before others where there is no room for all, and one for all. */
export function barLines(progress: WarmProgress, { columns, rows }: Room): readonly string[] {
  const { under } = progress
  const nameWidth = Math.min(MOST_NAME, Math.max(...under.map(({ image }) => image.length), 0))
  const images =
    under.length < rows ? under : [...under].sort((one, two) => Number(hasBegun(two)) - Number(hasBegun(one)))
  const lines = images.map((image) => barLine(image, nameWidth, columns))
  return [...fitting(lines, rows - 1, (count) => `and ${plural(count, 'image')} more`), totalText(progress)]
}

function hasBegun({ isPlanned, bytes }: ImageProgress): boolean {
  return isPlanned && bytes > 0
}

function barLine(image: ImageProgress, nameWidth: number, columns: number): string {
  const shown = named(image.image, nameWidth)
  if (!image.isPlanned) return `${shown}  looking what it consists of`
  return bar(shown, image, columns)
}

/** In so many characters. */
export function named(name: string, width: number): string {
  const text = plain(name)
  return text.length > width ? `…${text.slice(1 - width)}` : text.padEnd(width)
}

export function bar(
  name: string,
  { bytes, ofBytes, fetched }: Pick<WarmProgress, 'bytes' | 'ofBytes' | 'fetched'>,
  columns: number,
): string {
  const part = ofBytes === 0 ? 1 : Math.min(1, bytes / ofBytes)
  const percent = `${String(Math.floor(100 * part)).padStart(3)}%`
  const amount = [`${sizeText(bytes)} of ${sizeText(ofBytes)}`, ...fetchedText(fetched)].join(', ')
  const room = Math.min(WIDEST_BAR, columns - name.length - percent.length - amount.length - 7)
  if (room < NARROWEST_BAR) return `${name} ${percent}  ${amount}`
  const filled = Math.floor(room * part)
  const drawn = `${'='.repeat(filled)}${filled < room ? '>' : ''}`.padEnd(room)
  return `${name}  [${drawn}] ${percent}  ${amount}`
}

export function originText({ hereBytes, fetched }: Pick<WarmDone, 'hereBytes' | 'fetched'>): string {
  const parts = [...(hereBytes === 0 ? [] : [`${sizeText(hereBytes)} here already`]), ...fetchedText(fetched)]
  return parts.join(', ') || 'nothing was fetched'
}

function fetchedText({ peer, upstream }: WarmDone['fetched']): readonly string[] {
  return [
    ...(peer === 0 ? [] : [`${sizeText(peer)} from peers`]),
    ...(upstream === 0 ? [] : [`${sizeText(upstream)} from upstream`]),
  ]
}
