import { loadSetting } from '../config/load.ts'
import { contentViewOf } from '../observe/content-view.ts'
import { listBlobs, listImages } from '../observe/listing.ts'
import { BlobReport, ImageReport } from '../observe/report.ts'
import { agoText, plural, sizeText } from '../observe/words.ts'
import { askLines } from './client.ts'
import { type Command, type Invocation, JSON_FLAG, type Terminal } from './command.ts'
import { givenSettings, settingFlags } from './settings.ts'
import { digestText, table } from './table.ts'

/** `agent ls`. */
export const ls: Command = {
  words: [],
  flags: [
    { name: 'blobs', kind: 'switch', help: 'list blobs and manifests instead of images', shown: undefined },
    {
      name: 'data',
      kind: 'text',
      help: 'look into this folder, with no agent running on it, instead of asking the agent',
      shown: undefined,
    },
    ...settingFlags('admin', 'config'),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent ls', what: 'images by tag: how much of each is here' },
    { line: 'agent ls --blobs --json', what: 'a line of JSON for each blob' },
    { line: 'agent ls --data /var/lib/leat', what: 'the same while no agent is running' },
  ],
  async run(given, terminal) {
    const folder = given.values['data']
    if (folder !== undefined) {
      // Whoever asks the agent needs no database.
      const { withStore } = await import('./stored.ts')
      const path = await loadSetting('data', givenSettings(given, terminal))
      await withStore(path, async (store) => {
        const view = contentViewOf(store)
        await print({ blobs: () => listBlobs(view), images: () => listImages(view) }, given, terminal)
      })
      return 0
    }
    const admin = await loadSetting('admin', givenSettings(given, terminal))
    await print(
      {
        blobs: () => askLines(admin, '/api/v1/blobs', BlobReport),
        images: () => askLines(admin, '/api/v1/images', ImageReport),
      },
      given,
      terminal,
    )
    return 0
  },
}

interface Lists {
  blobs(): AsyncIterable<BlobReport>
  images(): AsyncIterable<ImageReport>
}

async function print(lists: Lists, { switches }: Invocation, terminal: Terminal): Promise<void> {
  const wantsBlobs = switches.has('blobs')
  if (switches.has('json')) {
    for await (const item of wantsBlobs ? lists.blobs() : lists.images())
      await terminal.out(`${JSON.stringify(item)}\n`)
    return
  }
  const now = Date.now()
  await terminal.out(
    wantsBlobs
      ? blobTable(await gathered(lists.blobs()), now, terminal.isInteractive)
      : imageTable(await gathered(lists.images()), now, terminal.isInteractive),
  )
}

function imageTable(images: readonly ImageReport[], now: number, isInteractive: boolean): string {
  if (images.length === 0) return 'No image is cached by tag; agent ls --blobs lists everything that is.\n'
  const rows = images.map((image) => [
    `${image.repository}:${image.tag}`,
    digestText(image.digest, isInteractive),
    sizeText(image.bytesHere),
    image.state,
    agoText(image.checkedAt, now),
    image.platforms.join(' '),
  ])
  return table(['IMAGE', 'DIGEST', 'HERE', 'STATE', 'CONFIRMED', 'PLATFORMS'], rows, [2])
}

function blobTable(blobs: readonly BlobReport[], now: number, isInteractive: boolean): string {
  if (blobs.length === 0) return 'Nothing is cached.\n'
  const rows = blobs.map((blob) => [
    digestText(blob.digest, isInteractive),
    sizeText(blob.size),
    blob.kind,
    agoText(blob.lastUsedAt, now),
    blob.origin,
  ])
  const total = blobs.reduce((sum, blob) => sum + blob.size, 0)
  const summary = isInteractive ? `\n${plural(blobs.length, 'blob')}, ${sizeText(total)}\n` : ''
  return `${table(['DIGEST', 'SIZE', 'KIND', 'LAST USED', 'FROM'], rows, [1])}${summary}`
}

async function gathered<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}
