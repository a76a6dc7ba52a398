import { agoText, plural, sizeText } from '../../observe/text.ts'
import type { BlobReport, ImageReport } from '../../schemas/content-report.ts'
import { type Column, fittingTable } from '../terminal/fitting-table.ts'
import { digestText } from '../terminal/table.ts'

/** How many of the images that share parts with one are named; the JSON has more. */
const MAX_SHARED_WITH = 2

export interface TableOptions {
  readonly now: number
  readonly isInteractive: boolean
  /** How wide the table may be. */
  readonly width: number
}

export function imageTable(
  images: readonly ImageReport[],
  { now, isInteractive, width }: TableOptions,
): string {
  const columns: readonly Column<ImageReport>[] = [
    { head: 'IMAGE', text: imageName },
    { head: 'DIGEST', text: ({ digest }) => digestText(digest, isInteractive) },
    { head: 'STORED', isNumber: true, text: ({ bytesHere }) => sizeText(bytesHere) },
    { head: 'UNIQUE', isNumber: true, text: ({ uniqueBytes }) => sizeText(uniqueBytes) },
    { head: 'STATE', text: ({ state }) => state },
    { head: 'PIN', text: pinText },
    { head: 'LAST USED', text: ({ lastUsedAt }) => (lastUsedAt === null ? '' : agoText(lastUsedAt, now)) },
    { head: 'CONFIRMED', text: (image) => confirmedText(image, now) },
    { head: 'PLATFORMS', text: ({ platforms }) => platforms.join(' ') },
    { head: 'SHARES WITH', text: ({ sharesWith }) => othersText(sharesWith) },
  ]
  return fittingTable(images, columns, { width, least: 3 })
}

export function blobTable(blobs: readonly BlobReport[], { now, isInteractive, width }: TableOptions): string {
  const columns: readonly Column<BlobReport>[] = [
    { head: 'DIGEST', text: ({ digest }) => digestText(digest, isInteractive) },
    { head: 'SIZE', isNumber: true, text: ({ size }) => sizeText(size) },
    { head: 'KIND', text: ({ kind }) => kind },
    { head: 'PIN', text: ({ pinned }) => (pinned ? 'pinned' : '') },
    { head: 'LAST USED', text: ({ lastUsedAt }) => agoText(lastUsedAt, now) },
    { head: 'FROM', text: ({ origin }) => origin },
  ]
  const total = blobs.reduce((sum, blob) => sum + blob.size, 0)
  const summary = isInteractive ? `\n${plural(blobs.length, 'blob')}, ${sizeText(total)}\n` : ''
  return `${fittingTable(blobs, columns, { width, least: 2 })}${summary}`
}

/** A hosted image is named without the agent's own registry, as clients name it after the agent's address. */
export function imageName({ repository, tag, hosted }: ImageReport): string {
  const name = hosted === true ? repository.replace(/^localhost\//, '') : repository
  return `${name}:${tag}`
}

/** Says by which other tag, or by which digest, an image is pinned. */
function pinText({ repository, tag, pinned, pinnedBy }: ImageReport): string {
  const [other] = pinnedBy
  if (!pinned) return ''
  return other === undefined || pinnedBy.includes(`${repository}:${tag}`) ? 'pinned' : `by ${other}`
}

function confirmedText({ checkedAt, importedAt, hosted }: ImageReport, now: number): string {
  if (hosted === true) return 'hosted'
  return checkedAt === importedAt ? 'imported' : agoText(checkedAt, now)
}

function othersText(names: readonly string[]): string {
  const more = names.length - MAX_SHARED_WITH
  return `${names.slice(0, MAX_SHARED_WITH).join(' ')}${more > 0 ? ` and ${more} more` : ''}`
}
