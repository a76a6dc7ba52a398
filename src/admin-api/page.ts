import { readFile } from 'node:fs/promises'

const HTML = 'text/html; charset=utf-8'
const STYLE = 'text/css; charset=utf-8'
const SCRIPT = 'text/javascript; charset=utf-8'

/** The files of the web page, with their media types. */
const PAGE_FILES = {
  '/': HTML,
  '/page/style.css': STYLE,
  '/page/icon.svg': 'image/svg+xml',
  '/page/main.js': SCRIPT,
  '/page/announcements.js': SCRIPT,
  '/page/api.js': SCRIPT,
  '/page/column-chart.js': SCRIPT,
  '/page/dom.js': SCRIPT,
  '/page/polling.js': SCRIPT,
  '/page/token.js': SCRIPT,
  '/page/sections/byte-sources.js': SCRIPT,
  '/page/sections/first-steps.js': SCRIPT,
  '/page/sections/flights.js': SCRIPT,
  '/page/sections/history.js': SCRIPT,
  '/page/sections/images.js': SCRIPT,
  '/page/sections/overview.js': SCRIPT,
  '/page/sections/peers.js': SCRIPT,
  '/page/sections/pulls.js': SCRIPT,
  '/page/sections/sources.js': SCRIPT,
  '/page/sections/upstreams.js': SCRIPT,
  '/page/sections/waterfall.js': SCRIPT,
  '/page/sections/why.js': SCRIPT,
  '/page/swarm/layout.js': SCRIPT,
  '/page/swarm/picture.js': SCRIPT,
  '/page/swarm/swarm.js': SCRIPT,
  /** The page words sizes, durations and the report of `agent why` as the command line does. */
  '/observe/copies-text.js': SCRIPT,
  '/observe/object-store-text.js': SCRIPT,
  '/observe/text.js': SCRIPT,
  '/observe/why-facts.js': SCRIPT,
} as const
export type PagePath = keyof typeof PAGE_FILES

export function isPagePath(path: string): path is PagePath {
  return Object.hasOwn(PAGE_FILES, path)
}

/** Reads the file on every request: the page is opened rarely, so its files are not kept in memory. */
export async function pageFile(
  path: PagePath,
): Promise<{ readonly contentType: string; readonly body: string }> {
  const name = path === '/' ? '/page/index.html' : path
  // The build copies the page next to this folder; the tests are built elsewhere and read it from src.
  const body = await readText(`..${name}`).catch(() => readText(`../../../src${name}`))
  return { contentType: PAGE_FILES[path], body }
}

function readText(path: string): Promise<string> {
  return readFile(new URL(path, import.meta.url), 'utf8')
}
