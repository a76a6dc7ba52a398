import { readFile } from 'node:fs/promises'

const HTML = 'text/html; charset=utf-8'
const STYLE = 'text/css; charset=utf-8'
const SCRIPT = 'text/javascript; charset=utf-8'

/** Everything that the page for people consists of. */
const FILES = {
  '/': HTML,
  '/page/style.css': STYLE,
  '/page/icon.svg': 'image/svg+xml',
  '/page/main.js': SCRIPT,
  '/page/ask.js': SCRIPT,
  '/page/dom.js': SCRIPT,
  '/page/sections/flights.js': SCRIPT,
  '/page/sections/glance.js': SCRIPT,
  '/page/sections/images.js': SCRIPT,
  '/page/live.js': SCRIPT,
  '/page/news.js': SCRIPT,
  '/page/sections/origins.js': SCRIPT,
  '/page/sections/peers.js': SCRIPT,
  '/page/sections/pulls.js': SCRIPT,
  '/page/sections/upstreams.js': SCRIPT,
  '/page/sections/why.js': SCRIPT,
  /** Sizes and spans in the words of the command line. */
  '/observe/text.js': SCRIPT,
} as const
export type PagePath = keyof typeof FILES

export function isPagePath(path: string): path is PagePath {
  return Object.hasOwn(FILES, path)
}

/** Read anew each time: hardly anybody looks, and memory is for what is pulled. */
export async function pageFile(path: PagePath): Promise<{ readonly type: string; readonly body: string }> {
  const name = path === '/' ? '/page/index.html' : path
  // The build puts the page beside this; the tests, which are built elsewhere, take it from the source.
  const body = await read(`..${name}`).catch(() => read(`../../../src${name}`))
  return { type: FILES[path], body }
}

function read(path: string): Promise<string> {
  return readFile(new URL(path, import.meta.url), 'utf8')
}
