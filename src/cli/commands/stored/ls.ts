import { loadSetting } from '../../../config/load.ts'
import { contentViewOf } from '../../../observe/reports/content-view.ts'
import { listBlobs, listImages } from '../../../observe/reports/listing.ts'
import { agoText, plain, plural, sizeText } from '../../../observe/text.ts'
import { BlobReport, ImageReport } from '../../../schemas/content-report.ts'
import { adminFlags, adminTarget } from '../../context/admin-target.ts'
import { streamApi } from '../../context/client.ts'
import {
  type Command,
  DATA_FLAG,
  type Invocation,
  JSON_FLAG,
  type Terminal,
  usageError,
} from '../../context/command.ts'
import { givenSettings } from '../../context/settings.ts'
import { DATA_ALTERNATIVE } from '../../context/upkeep.ts'
import { digestText, table } from '../../terminal/table.ts'

interface Lists {
  blobs(): AsyncIterable<BlobReport>
  images(): AsyncIterable<ImageReport>
}

type Order<Item> = (one: Item, other: Item) => number

/** People look for the largest and the most recent items, so those come first. */
const IMAGE_ORDERS: Readonly<Record<string, Order<ImageReport>>> = {
  name: (one, other) => compare(imageName(one), imageName(other)),
  size: (one, other) => other.bytesHere - one.bytesHere,
  unique: (one, other) => other.uniqueBytes - one.uniqueBytes,
  used: (one, other) => compare(other.lastUsedAt ?? '', one.lastUsedAt ?? ''),
}
const BLOB_ORDERS: Readonly<Record<string, Order<BlobReport>>> = {
  name: (one, other) => compare(one.digest, other.digest),
  size: (one, other) => other.size - one.size,
  used: (one, other) => compare(other.lastUsedAt, one.lastUsedAt),
}
/** How many of the images that share parts with one are named; the JSON has more. */
const MAX_SHARED_WITH = 2

/** `agent ls`. */
export const ls: Command = {
  positionals: [],
  flags: [
    {
      name: 'blobs',
      kind: 'switch',
      help: 'list blobs and manifests instead of images',
      defaultText: undefined,
    },
    {
      name: 'sort',
      kind: 'text',
      help: 'name, size (largest first), unique (bytes that removing it frees, most first) or used (latest first)',
      defaultText: 'name',
    },
    DATA_FLAG,
    ...adminFlags(),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent ls', what: 'list images by tag, with their stored bytes and what they share' },
    { line: 'agent ls --sort unique', what: 'list first the images whose removal frees most' },
    { line: 'agent ls --blobs --json', what: 'print one line of JSON per blob' },
    { line: 'agent ls --data /var/lib/leat', what: 'list a data folder while no agent is running' },
  ],
  async run(given, terminal) {
    checkOrder(given)
    const settings = givenSettings(given, terminal)
    if (given.values['data'] !== undefined) {
      // Loaded here only, as commands that ask the agent need no database.
      const { withStore } = await import('../../context/offline-store.ts')
      await withStore(await loadSetting('data', settings), async (store) => {
        const view = contentViewOf(store)
        await print({ blobs: () => listBlobs(view), images: () => listImages(view) }, given, terminal)
      })
      return 0
    }
    const admin = await adminTarget(settings)
    const apiRequest = (path: string) => ({ method: 'GET', path, alternative: DATA_ALTERNATIVE }) as const
    await print(
      {
        blobs: () => streamApi(admin, apiRequest('/api/v1/blobs'), BlobReport),
        images: () => streamApi(admin, apiRequest('/api/v1/images'), ImageReport),
      },
      given,
      terminal,
    )
    return 0
  },
}

function checkOrder({ values, switches }: Invocation): void {
  const { sort } = values
  const known = Object.keys(switches.has('blobs') ? BLOB_ORDERS : IMAGE_ORDERS)
  if (sort === undefined || (typeof sort === 'string' && known.includes(sort))) return
  const what = switches.has('blobs') ? ' for blobs' : ''
  throw usageError(`--sort is ${JSON.stringify(sort)}; expected one of ${known.join(', ')}${what}`)
}

async function print(lists: Lists, given: Invocation, terminal: Terminal): Promise<void> {
  const { isInteractive } = terminal
  const now = Date.now()
  if (given.switches.has('blobs')) {
    await printItems(lists.blobs(), BLOB_ORDERS, given, terminal, (all) => blobTable(all, now, isInteractive))
  } else {
    await printItems(lists.images(), IMAGE_ORDERS, given, terminal, (all) =>
      imageTable(all, now, isInteractive),
    )
  }
}

/** Items arrive sorted by name. JSON is streamed, unless another order needs all items first. */
async function printItems<Item>(
  items: AsyncIterable<Item>,
  orders: Readonly<Record<string, Order<Item>>>,
  { switches, values }: Invocation,
  terminal: Terminal,
  show: (items: readonly Item[]) => string,
): Promise<void> {
  const order = typeof values['sort'] === 'string' ? orders[values['sort']] : undefined
  const isJson = switches.has('json')
  const all = isJson && order === undefined ? items : await collect(items, order)
  if (isJson) for await (const item of all) await terminal.out(`${JSON.stringify(item)}\n`)
  else await terminal.out(show(await collect(all)))
}

function imageTable(images: readonly ImageReport[], now: number, isInteractive: boolean): string {
  if (images.length === 0) return 'No image with a tag is cached; agent ls --blobs lists all blobs.\n'
  const rows = images.map((image) => [
    imageName(image),
    digestText(image.digest, isInteractive),
    sizeText(image.bytesHere),
    sizeText(image.uniqueBytes),
    image.state,
    image.pinned ? pinText(image) : '',
    image.lastUsedAt === null ? '' : agoText(image.lastUsedAt, now),
    confirmedText(image, now),
    image.platforms.join(' '),
    othersText(image.sharesWith),
  ])
  const head = [
    'IMAGE',
    'DIGEST',
    'STORED',
    'UNIQUE',
    'STATE',
    'PIN',
    'LAST USED',
    'CONFIRMED',
    'PLATFORMS',
    'SHARES WITH',
  ]
  return table(head, rows, [2, 3])
}

/** Says by which other tag, or by which digest, an image is pinned. */
function pinText(image: ImageReport): string {
  const [other] = image.pinnedBy
  return other === undefined || image.pinnedBy.includes(imageName(image)) ? 'pinned' : `by ${plain(other)}`
}

function confirmedText({ checkedAt, importedAt, hosted }: ImageReport, now: number): string {
  if (hosted === true) return 'hosted'
  return checkedAt === importedAt ? 'imported' : agoText(checkedAt, now)
}

function othersText(names: readonly string[]): string {
  const more = names.length - MAX_SHARED_WITH
  return `${names.slice(0, MAX_SHARED_WITH).map(plain).join(' ')}${more > 0 ? ` and ${more} more` : ''}`
}

function blobTable(blobs: readonly BlobReport[], now: number, isInteractive: boolean): string {
  if (blobs.length === 0) return 'Nothing is cached.\n'
  const rows = blobs.map((blob) => [
    digestText(blob.digest, isInteractive),
    sizeText(blob.size),
    blob.kind,
    blob.pinned ? 'pinned' : '',
    agoText(blob.lastUsedAt, now),
    blob.origin,
  ])
  const total = blobs.reduce((sum, blob) => sum + blob.size, 0)
  const summary = isInteractive ? `\n${plural(blobs.length, 'blob')}, ${sizeText(total)}\n` : ''
  return `${table(['DIGEST', 'SIZE', 'KIND', 'PIN', 'LAST USED', 'FROM'], rows, [1])}${summary}`
}

/** A hosted image is named without the agent's own registry, as clients name it after the agent's address. */
function imageName({ repository, tag, hosted }: ImageReport): string {
  const name = hosted === true ? repository.replace(/^localhost\//, '') : repository
  return `${name}:${tag}`
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

async function collect<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  order?: Order<Item>,
): Promise<readonly Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return order === undefined ? all : all.sort(order)
}
