import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** What the adapters (the disk, upstream, peers) are to know of `resolve`: the interfaces that they fulfil. */
const INTERFACES = [
  'answer',
  'blob-store',
  'catalog',
  'content',
  'failure',
  'holdings',
  'registry',
  'source',
].map((name) => `resolve/${name}.ts`)
const EVENTS = 'observe/events.ts'
/** Tools that know nothing of the rooms, which every one of them may use. */
const TOOLS = 'lib'

/**
 * Each room of src and the rooms, or single files of them, that it may import besides its own. What is not listed may
 * not be imported: a new room, or a new direction, is a decision to be made here and told in ARCHITECTURE.md.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'main.ts': ['commands', 'config'],
  'index.ts': ['agent.ts'],
  commands: [
    'agent.ts',
    'config',
    'oci',
    'observe',
    'resolve',
    'store',
    'runtimes',
    'upkeep',
    'doctor',
    'peers/bootstrap.ts',
  ],
  'agent.ts': ['http', 'resolve', 'store', 'upstream', 'peers', 'observe', 'oci', 'upkeep', 'warm'],
  config: ['oci'],
  // Besides events: the shapes of the admin API's answers, which the CLI reads too.
  http: ['resolve', 'oci', EVENTS, 'observe/report.ts', 'observe/upkeep-report.ts', 'observe/warm-report.ts'],
  resolve: ['oci', EVENTS],
  store: ['oci', EVENTS, ...INTERFACES],
  upstream: ['oci', EVENTS, ...INTERFACES],
  // Agents tell each other how warming goes in the words in which the admin API does.
  peers: ['oci', EVENTS, 'observe/warm-report.ts', ...INTERFACES],
  runtimes: ['oci'],
  observe: ['oci', ...INTERFACES],
  upkeep: ['observe', 'oci'],
  // Looks at what each of them has to do with, through what they export for it.
  doctor: [
    'runtimes',
    'observe/report.ts',
    'observe/words.ts',
    'upstream/examine.ts',
    'upstream/options.ts',
    'peers/join.ts',
    'peers/knock.ts',
    'peers/ping.ts',
    'resolve/failure.ts',
  ],
  warm: [
    'oci',
    EVENTS,
    'observe/warm-report.ts',
    'observe/words.ts',
    'upkeep/refusal.ts',
    'resolve/manifest-body.ts',
    ...INTERFACES,
  ],
  oci: [],
  [TOOLS]: [],
}

/** Packages that stand behind a seam, and the one room that knows them. */
const PACKAGES: Readonly<Record<string, string>> = {
  level: 'store',
  undici: 'upstream',
  hyperdht: 'peers',
  hyperswarm: 'peers',
  pino: 'observe',
  'smol-toml': 'runtimes',
  yargs: 'commands',
  yaml: 'config',
}

/** The start of a process or of a thread: what may look at, or end, the process it runs in. */
const ENTRIES = ['main.ts', 'store/writer-thread.ts']

interface Import {
  readonly from: string
  /** A path below src, or the name of a package. */
  readonly to: string
}

const SRC = fileURLToPath(new URL('../../src', import.meta.url))
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ path: file.split(sep).join('/'), text: readFileSync(join(SRC, file), 'utf8') }))
const imports: readonly Import[] = files.flatMap(({ path, text }) => importsOf(path, text))

function importsOf(from: string, text: string): Import[] {
  const named = text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^'\n]+)'/g)
  return [...named].map(([, name = '']) => ({
    from,
    to: name.startsWith('.') ? posix.join(posix.dirname(from), name) : packageOf(name),
  }))
}

function packageOf(name: string): string {
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/')
}

function roomOf(path: string): string {
  return path.split('/')[0] ?? ''
}

function isWithin(path: string, allowed: string): boolean {
  return path === allowed || path.startsWith(`${allowed}/`)
}

function told(found: readonly Import[]): string[] {
  return found.map(({ from, to }) => `src/${from} imports ${to}`)
}

test('the imports are found in every way to write one', () => {
  const text = `import { a } from './a.ts'
import type { B } from '../oci/b.ts'
import {
  c,
} from 'level'
export { d } from './d.ts'
import '@scope/e/f'
const g = await import('undici')`
  const found = importsOf('store/here.ts', text).map(({ to }) => to)
  assert.deepEqual(found, ['store/a.ts', 'oci/b.ts', 'level', 'store/d.ts', '@scope/e', 'undici'])
  assert.ok(imports.length > files.length, 'hardly any imports were found in src')
})

test('every file is in a room that has its rules', () => {
  const homeless = files.map(({ path }) => path).filter((path) => ROOMS[roomOf(path)] === undefined)
  assert.deepEqual(homeless, [])
})

test('imports point down only', () => {
  const inside = imports.filter(({ to }) => /\.ts$/.test(to))
  const wrong = inside.filter(({ from, to }) => {
    const allowed = [roomOf(from), TOOLS, ...(ROOMS[roomOf(from)] ?? [])]
    return !allowed.some((one) => isWithin(to, one))
  })
  assert.deepEqual(told(wrong), [])
})

test('no direction is open that nothing goes in, nor a room that is not there', () => {
  const unused = Object.entries(ROOMS).flatMap(([room, allowed]) => {
    const own = imports.filter(({ from }) => roomOf(from) === room)
    const idle = allowed.filter(
      (one) => !INTERFACES.includes(one) && !own.some(({ to }) => isWithin(to, one)),
    )
    const isThere = files.some(({ path }) => roomOf(path) === room)
    return [...(isThere ? [] : [room]), ...idle.map((one) => `${room} imports nothing of ${one}`)]
  })
  assert.deepEqual(unused, [])
})

test('a package behind a seam is known to one room', () => {
  const wrong = imports.filter(({ from, to }) => {
    const owner = PACKAGES[to]
    return owner !== undefined && roomOf(from) !== owner
  })
  assert.deepEqual(told(wrong), [])
})

test('only the start of a process or thread reads its arguments and environment or ends it', () => {
  const wrong = files
    .filter(({ path }) => !ENTRIES.includes(path))
    .filter(
      ({ text }) => /\bprocess\.(?:exit|exitCode|abort|argv|env)\b/.test(text) || importsFromProcess(text),
    )
    .map(({ path }) => `src/${path}`)
  assert.deepEqual(wrong, [])
})

function importsFromProcess(text: string): boolean {
  return /import \{[^}]*\b(?:exit|abort|argv|env)\b[^}]*\} from 'node:process'/.test(text)
}
