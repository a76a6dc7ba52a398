import { loadSetting } from '../../config/load.ts'
import { contentViewOf } from '../../observe/reports/content-view.ts'
import { listBlobs, listImages } from '../../observe/reports/listing.ts'
import { agoText, plain, plural, sizeText } from '../../observe/text.ts'
import { BlobReport, ImageReport } from '../../schemas/report.ts'
import { askLines } from '../context/client.ts'
import {
  type Command,
  CommandError,
  DATA_FLAG,
  type Invocation,
  JSON_FLAG,
  type Terminal,
} from '../context/command.ts'
import { givenSettings, settingFlags } from '../context/settings.ts'
import { OR_ELSE } from '../context/upkeep.ts'
import { digestText, table } from '../terminal/table.ts'

interface Lists {
  blobs(): AsyncIterable<BlobReport>
  images(): AsyncIterable<ImageReport>
}

type Order<Item> = (one: Item, other: Item) => number

/** Largest and latest first: that is what is looked for. */
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
/** Of the images that one shares something with. */
const OTHERS_SHOWN = 2

/** `agent ls`. */
export const ls: Command = {
  words: [],
  flags: [
    { name: 'blobs', kind: 'switch', help: 'list blobs and manifests instead of images', shown: undefined },
    {
      name: 'sort',
      kind: 'text',
      help: 'name, size (largest first), unique (what would be freed) or used (latest first)',
      shown: 'name',
    },
    DATA_FLAG,
    ...settingFlags('admin', 'config'),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent ls', what: 'images by tag: how much of each is here, and what they share' },
    { line: 'agent ls --sort unique', what: 'what agent rm would free most by' },
    { line: 'agent ls --blobs --json', what: 'a line of JSON for each blob' },
    { line: 'agent ls --data /var/lib/leat', what: 'the same while no agent is running' },
  ],
  async run(given, terminal) {
    checkOrder(given)
    const settings = givenSettings(given, terminal)
    if (given.values['data'] !== undefined) {
      // Whoever asks the agent needs no database.
      const { withStore } = await import('../context/stored.ts')
      await withStore(await loadSetting('data', settings), async (store) => {
        const view = contentViewOf(store)
        await print({ blobs: () => listBlobs(view), images: () => listImages(view) }, given, terminal)
      })
      return 0
    }
    const admin = await loadSetting('admin', settings)
    const asking = (path: string) => ({ method: 'GET', path, orElse: OR_ELSE }) as const
    await print(
      {
        blobs: () => askLines(admin, asking('/api/v1/blobs'), BlobReport),
        images: () => askLines(admin, asking('/api/v1/images'), ImageReport),
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
  throw new CommandError(`--sort is ${JSON.stringify(sort)}; expected one of ${known.join(', ')}${what}`, {
    exitCode: 2,
  })
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

/** They come by name; as JSON they need not be gathered unless another order is wanted. */
async function printItems<Item>(
  items: AsyncIterable<Item>,
  orders: Readonly<Record<string, Order<Item>>>,
  { switches, values }: Invocation,
  terminal: Terminal,
  show: (items: readonly Item[]) => string,
): Promise<void> {
  const order = typeof values['sort'] === 'string' ? orders[values['sort']] : undefined
  const isJson = switches.has('json')
  const all = isJson && order === undefined ? items : await gathered(items, order)
  if (isJson) for await (const item of all) await terminal.out(`${JSON.stringify(item)}\n`)
  else await terminal.out(show(await gathered(all)))
}

function imageTable(images: readonly ImageReport[], now: number, isInteractive: boolean): string {
  if (images.length === 0) return 'No image is cached by tag; agent ls --blobs lists everything that is.\n'
  const rows = images.map((image) => [
    imageName(image),
    digestText(image.digest, isInteractive),
    sizeText(image.bytesHere),
    sizeText(image.uniqueBytes),
    image.state,
    image.pinned ? 'pinned' : '',
    image.lastUsedAt === null ? '' : agoText(image.lastUsedAt, now),
    agoText(image.checkedAt, now),
    image.platforms.join(' '),
    othersText(image.sharesWith),
  ])
  const head = [
    'IMAGE',
    'DIGEST',
    'HERE',
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

function othersText(names: readonly string[]): string {
  const more = names.length - OTHERS_SHOWN
  return `${names.slice(0, OTHERS_SHOWN).map(plain).join(' ')}${more > 0 ? ` and ${more} more` : ''}`
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

function imageName({ repository, tag }: ImageReport): string {
  return `${repository}:${tag}`
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

async function gathered<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  order?: Order<Item>,
): Promise<readonly Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return order === undefined ? all : all.sort(order)
}
