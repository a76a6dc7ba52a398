import type { ImageProgress, WarmedImage, WarmLine, WarmProgress } from '../observe/warm-report.ts'
import { plain, plural, sizeText, spanText } from '../observe/words.ts'
import { digestText } from './table.ts'

type Done = Extract<WarmLine, { is: 'done' }>

const WIDEST_BAR = 30
/** Below that a bar says nothing. */
const NARROWEST_BAR = 8
const MOST_NAME = 48

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

export function doneText(done: Done): string {
  const { images, failed, bytes, ms } = done
  const which = failed === 0 ? plural(images, 'image') : `${images - failed} of ${plural(images, 'image')}`
  return `Warmed ${which} with ${sizeText(bytes)} in ${spanText(ms)}: ${originText(done)}.\n`
}

/** How far all of it is. */
export function totalText(progress: WarmProgress): string {
  const { images, ofImages, bytes, ofBytes, bytesPerSecond, secondsLeft, fetched } = progress
  return [
    `${images} of ${plural(ofImages, 'image')}`,
    `${sizeText(bytes)} of ${sizeText(ofBytes)}`,
    `${sizeText(bytesPerSecond)}/s`,
    ...(secondsLeft === null ? [] : [`${spanText(secondsLeft * 1000)} left`]),
    ...fetchedText(fetched),
  ].join(', ')
}

/** A line for each image under way and one for all, none of them wider than the terminal. */
export function barLines(progress: WarmProgress, columns: number): readonly string[] {
  const { under } = progress
  const nameWidth = Math.min(MOST_NAME, Math.max(...under.map(({ image }) => image.length), 0))
  const lines = under.map((image) => barLine(image, nameWidth, columns - 1))
  return [...lines, totalText(progress)].map((line) => line.slice(0, columns - 1))
}

function barLine(
  { image, isPlanned, bytes, ofBytes, fetched }: ImageProgress,
  nameWidth: number,
  columns: number,
): string {
  const name = plain(image)
  const shown = name.length > nameWidth ? `…${name.slice(1 - nameWidth)}` : name.padEnd(nameWidth)
  if (!isPlanned) return `${shown}  looking what it consists of`
  const part = ofBytes === 0 ? 1 : Math.min(1, bytes / ofBytes)
  const percent = `${String(Math.floor(100 * part)).padStart(3)}%`
  const amount = [`${sizeText(bytes)} of ${sizeText(ofBytes)}`, ...fetchedText(fetched)].join(', ')
  const room = Math.min(WIDEST_BAR, columns - shown.length - percent.length - amount.length - 7)
  if (room < NARROWEST_BAR) return `${shown} ${percent}  ${amount}`
  const filled = Math.floor(room * part)
  const bar = `${'='.repeat(filled)}${filled < room ? '>' : ''}`.padEnd(room)
  return `${shown}  [${bar}] ${percent}  ${amount}`
}

function originText({ hereBytes, fetched }: Pick<Done, 'hereBytes' | 'fetched'>): string {
  const parts = [...(hereBytes === 0 ? [] : [`${sizeText(hereBytes)} here already`]), ...fetchedText(fetched)]
  return parts.join(', ') || 'nothing was fetched'
}

function fetchedText({ peer, upstream }: Done['fetched']): readonly string[] {
  return [
    ...(peer === 0 ? [] : [`${sizeText(peer)} from peers`]),
    ...(upstream === 0 ? [] : [`${sizeText(upstream)} from upstream`]),
  ]
}
