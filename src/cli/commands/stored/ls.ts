import { loadSetting } from '../../../config/load.ts'
import { contentViewOf } from '../../../observe/reports/content-view.ts'
import { listBlobs, listImages } from '../../../observe/reports/listing.ts'
import { plain } from '../../../observe/text.ts'
import { BlobReport, ImageReport } from '../../../schemas/content-report.ts'
import { adminFlags, adminTarget } from '../../context/admin-target.ts'
import { streamApi } from '../../context/client.ts'
import {
  type Command,
  DATA_FLAG,
  type Invocation,
  JSON_FLAG,
  singleValue,
  type Terminal,
  usageError,
} from '../../context/command.ts'
import { givenSettings } from '../../context/settings.ts'
import { DATA_ALTERNATIVE } from '../../context/upkeep.ts'
import { fillTemplate, IMAGE_FILTERS, imageMatcher } from '../../ls/selection.ts'
import { blobTable, imageName, imageTable } from '../../ls/tables.ts'

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
/** `agent ls`. */
export const ls: Command = {
  positionals: [
    {
      name: 'pattern',
      help: 'images to list, such as alpine, alpine:3 or reg.test/team/*; * is any text without a slash, ** any text',
      isMany: true,
      isOptional: true,
    },
  ],
  flags: [
    {
      name: 'filter',
      kind: 'list',
      help: 'list only images that are whole, partial, pinned, unpinned, hosted or cached; may be given several times',
      defaultText: undefined,
    },
    {
      name: 'quiet',
      kind: 'switch',
      help: 'print names only, or digests with --blobs',
      defaultText: undefined,
    },
    {
      name: 'format',
      kind: 'text',
      help: 'a line for each item, with the fields of --json in braces, such as "{name} {bytesHere}"',
      defaultText: undefined,
    },
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
    { line: "agent ls 'reg.test/team/*' --filter unpinned --quiet", what: 'print the names of some images' },
    { line: 'agent ls --sort unique', what: 'list first the images whose removal frees most' },
    { line: 'agent ls --blobs --json', what: 'print one line of JSON per blob' },
    { line: 'agent ls --data /var/lib/leat', what: 'list a data folder while no agent is running' },
  ],
  async run(given, terminal) {
    checkOrder(given)
    checkSelection(given)
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

function checkSelection({ values, switches, positionals }: Invocation): void {
  const filters = [values['filter'] ?? []].flat()
  const unknown = filters.find((name) => IMAGE_FILTERS[name] === undefined)
  if (unknown !== undefined) {
    const known = Object.keys(IMAGE_FILTERS).join(', ')
    throw usageError(`--filter is ${JSON.stringify(unknown)}; expected one of ${known}`)
  }
  if (switches.has('blobs') && (positionals.length > 0 || filters.length > 0))
    throw usageError('patterns and --filter are for images; leave out --blobs')
}

function checkOrder({ values, switches }: Invocation): void {
  const { sort } = values
  const known = Object.keys(switches.has('blobs') ? BLOB_ORDERS : IMAGE_ORDERS)
  if (sort === undefined || (typeof sort === 'string' && known.includes(sort))) return
  const what = switches.has('blobs') ? ' for blobs' : ''
  throw usageError(`--sort is ${JSON.stringify(sort)}; expected one of ${known.join(', ')}${what}`)
}

async function print(lists: Lists, given: Invocation, terminal: Terminal): Promise<void> {
  const { isInteractive, columns } = terminal
  const options = {
    now: Date.now(),
    isInteractive,
    width: isInteractive ? columns : Number.POSITIVE_INFINITY,
  }
  if (given.switches.has('blobs')) {
    const shown = {
      nameOf: ({ digest }: BlobReport) => digest,
      table: (all: readonly BlobReport[]) => blobTable(all, options),
      none: 'Nothing is cached.\n',
    }
    return printItems(lists.blobs(), BLOB_ORDERS, given, terminal, shown)
  }
  const isAll = given.positionals.length === 0 && given.values['filter'] === undefined
  await printItems(selected(lists.images(), given), IMAGE_ORDERS, given, terminal, {
    nameOf: imageName,
    table: (all) => imageTable(all, options),
    none: isAll
      ? 'No image with a tag is cached; agent ls --blobs lists all blobs.\n'
      : 'No cached image matches; agent ls lists all.\n',
  })
}

/** The images that the patterns and filters mean. A tag of which nothing is stored is no image. */
async function* selected(
  images: AsyncIterable<ImageReport>,
  { positionals, values }: Invocation,
): AsyncGenerator<ImageReport> {
  const isMeant = imageMatcher(positionals)
  const filters = [values['filter'] ?? []].flat().map((name) => IMAGE_FILTERS[name])
  for await (const image of images) {
    if (image.state === 'absent' || !isMeant(image)) continue
    if (filters.every((filter) => filter?.(image) !== false)) yield image
  }
}

interface Shown<Item> {
  readonly nameOf: (item: Item) => string
  readonly table: (items: readonly Item[]) => string
  /** What is printed for people when there is no item. */
  readonly none: string
}

/** Items arrive sorted by name. Lines are streamed, unless another order needs all items first. */
async function printItems<Item extends object>(
  items: AsyncIterable<Item>,
  orders: Readonly<Record<string, Order<Item>>>,
  given: Invocation,
  terminal: Terminal,
  { nameOf, table, none }: Shown<Item>,
): Promise<void> {
  const sort = singleValue(given, 'sort')
  const order = sort === undefined ? undefined : orders[sort]
  const lineOf = lineFormat(given, nameOf)
  const all = lineOf !== undefined && order === undefined ? items : await collect(items, order)
  if (lineOf !== undefined) {
    for await (const item of all) await terminal.out(`${lineOf(item)}\n`)
    return
  }
  const collected = await collect(all)
  await terminal.out(collected.length === 0 ? none : table(collected))
}

/** How an item becomes a line for programs; undefined: people get a table. */
function lineFormat<Item extends object>(
  given: Invocation,
  nameOf: (item: Item) => string,
): ((item: Item) => string) | undefined {
  if (given.switches.has('json')) return (item) => JSON.stringify(item)
  if (given.switches.has('quiet')) return (item) => plain(nameOf(item))
  const template = singleValue(given, 'format')
  if (template === undefined) return undefined
  return (item) => {
    const filled = fillTemplate(template, { name: nameOf(item), ...item })
    if ('text' in filled) return plain(filled.text)
    const known = ['name', ...Object.keys(item)].join(', ')
    throw usageError(`--format has the unknown field ${JSON.stringify(filled.unknown)}; known are ${known}`)
  }
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
