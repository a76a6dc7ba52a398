import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const EVENTS = 'observe/events.ts'
const TEXT = 'observe/text.ts'

/**
 * Each room of src, and the rooms, folders or files that it may import besides its own. What is not listed may not be
 * imported: a new room, or a new direction, is a decision to be made here and told in ARCHITECTURE.md.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'main.ts': ['cli', 'config'],
  // The library turns settings into options as the commands do.
  'index.ts': ['agent.ts', 'config', 'fetch', 'library.ts', 'registry-api'],
  'library.ts': ['agent.ts', 'cli/context/agent-options.ts', 'config'],
  'agent.ts': [
    'agent-options.ts',
    'node-view.ts',
    'wiring.ts',
    'fetch',
    'lib',
    'peers/peer-options.ts',
    'ports/resolver.ts',
    'registry-api',
    'store',
    'warm',
  ],
  'wiring.ts': [
    'access/open-access.ts',
    'agent-options.ts',
    'check-image',
    'copies/copies.ts',
    'node-view.ts',
    'registry-api',
    'admin-api',
    'fetch',
    'hosted',
    'import',
    'lanes/lane-pool.ts',
    'store',
    'upstream',
    'object-store/object-store.ts',
    'peers',
    'lib',
    'observe',
    'oci',
    'ports/resolver.ts',
    'ports/redirects',
    'redirects',
    'sources',
    'upkeep',
    'warm',
    'webhooks',
  ],
  'node-view.ts': [
    'agent-options.ts',
    'copies/copies.ts',
    'registry-api',
    'fetch',
    'hosted/open-hosted.ts',
    'object-store/object-store.ts',
    'store',
    'upstream',
    'peers/network.ts',
    'observe',
    'oci',
    'sources/sources.ts',
    'webhooks/webhooks.ts',
  ],
  'agent-options.ts': [
    'admin-api/admin-access.ts',
    'access/options',
    'copies/options',
    'registry-api',
    'fetch',
    'hosted/open-hosted.ts',
    'lib',
    'object-store/options',
    'redirects/options.ts',
    'sources/sources.ts',
    'upstream/options',
    'peers/peer-options.ts',
    'warm',
    'webhooks/options.ts',
  ],
  cli: [
    'agent.ts',
    'config',
    'doctor',
    'export',
    'hosted/open-hosted.ts',
    'import',
    'lib',
    'migrate/convert.ts',
    'object-store/copy.ts',
    'object-store/expire.ts',
    'object-store/options',
    'observe',
    'oci',
    'peers/dht/bootstrap.ts',
    'ports/failure.ts',
    'runtimes',
    'schemas',
    'sources/files',
    'store',
    'upkeep',
  ],
  // Each check looks at one part of a node, through what that part exports for it.
  doctor: [
    'lib',
    'oci/names',
    'object-store/examine.ts',
    'object-store/options',
    'runtimes',
    'schemas/content-report.ts',
    'schemas/object-store-report.ts',
    'schemas/status-report.ts',
    TEXT,
    'sources/examine.ts',
    'sources/sources.ts',
    'upstream/examine.ts',
    'upstream/options',
    'peers/peer-options.ts',
    'peers/probe.ts',
    'peers/dht/ping.ts',
    'ports/failure.ts',
  ],
  access: ['lib', 'oci', 'ports', EVENTS],
  'registry-api': ['lib', 'oci', 'ports', EVENTS, 'schemas/status-report.ts'],
  'admin-api': ['lib', EVENTS, 'schemas'],
  warm: [
    'lib',
    'oci',
    'ports',
    EVENTS,
    TEXT,
    'schemas/warm-report.ts',
    'upkeep/request-error.ts',
    'fetch/manifests',
  ],
  // A bucket that clients are sent to is asked as one that the agent itself reads.
  redirects: ['lib', 'object-store', 'oci', 'ports/redirects', EVENTS],
  // The settings of upstreams say what a proxy is, and what an address is.
  webhooks: ['lib', 'oci', EVENTS, 'upstream/options'],
  upkeep: ['lib', 'observe', 'oci', 'schemas'],
  'check-image': ['lib', 'oci', 'ports'],
  fetch: ['lib', 'oci', 'ports', EVENTS],
  // What leaves the agent before it is verified is one rule for all, and so is how a manifest is read.
  sources: [
    'lib',
    'oci',
    'ports',
    EVENTS,
    'fetch/flight/bytes/tail-gate.ts',
    'fetch/manifests/manifest-body.ts',
  ],
  // An agent copies as `agent copy` does, and its queue is that of uploads. A secret has the form of a webhook's.
  copies: [
    'export',
    'lib',
    'object-store/copy.ts',
    'object-store/copy-records.ts',
    'object-store/upload/upload-queue.ts',
    'oci',
    'ports',
    EVENTS,
    'webhooks/signature.ts',
  ],
  export: ['lib', 'object-store/copy.ts', 'oci', 'ports'],
  // A manifest is read, and kept in memory, as elsewhere.
  hosted: ['fetch/manifests', 'lib', 'oci', 'ports', EVENTS, 'schemas/upkeep-report.ts'],
  // An import reads what local sources read.
  import: ['lib', 'oci', 'ports', 'schemas/import-report.ts', 'sources/docker', 'sources/files'],
  // Below the rooms whose bytes the lanes carry, so that those need not know each other.
  lanes: ['lib', 'oci', 'ports/failure.ts'],
  store: ['lanes', 'lib', 'oci', 'ports', EVENTS],
  upstream: ['lanes', 'lib', 'oci', 'ports', EVENTS],
  // A bucket that fails is left alone for a while as a registry is, and its answers have the same headers.
  'object-store': ['lib', 'oci', 'ports', EVENTS, 'upstream/headers', 'upstream/limits/circuit.ts'],
  // The network describes its members, and the progress of warming, in the shapes of the admin API.
  peers: ['lanes', 'lib', 'oci', 'ports', EVENTS, 'schemas/peer-report.ts', 'schemas/warm-report.ts'],
  observe: ['lib', 'oci', 'ports/failure.ts', 'schemas'],
  runtimes: ['lib', 'oci'],
  // Checks the settings that it makes by the settings table.
  migrate: ['lib', 'oci', 'config'],
  config: [
    'access/options',
    'admin-api/admin-access.ts',
    'copies/options',
    'lib',
    'object-store/options',
    'oci',
  ],
  ports: ['oci'],
  schemas: [],
  oci: ['lib'],
  lib: [],
}

/** The folders inside a room, from the bottom up: each may import those before it. `.` is the room's own files. */
const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  access: ['options', 'logins', 'passwords', 'pullers', 'tokens', 'rules', '.'],
  cli: [
    'context',
    'terminal',
    'ls',
    'warm',
    'export',
    'import',
    'config',
    'completion',
    'runtime',
    'serve',
    'stored',
    'commands/stored',
    'commands/reports',
    'commands',
    '.',
  ],
  config: ['values', 'upstreams', 'rules', 'buckets', 'copies', 'access', '.'],
  copies: ['options', 'notifications', 'pulls', '.'],
  doctor: ['tools', 'checks/kubelet', 'checks/runtimes', 'checks', '.'],
  export: ['targets', 'bucket', 'readers', 'static', '.'],
  import: ['target', 'formats', 'control', 'caches', '.'],
  hosted: ['uploads', 'garbage', 'manifests', 'bucket', '.'],
  fetch: [
    'flight/bytes',
    'flight/readers',
    'flight/attempts',
    'flight/ahead',
    'flight',
    'manifests',
    'known-names',
    '.',
  ],
  observe: [
    '.',
    'log',
    'metrics',
    'records/history',
    'records',
    'reports/recent',
    'reports/swarm',
    'reports',
  ],
  lanes: ['thread', '.'],
  lib: ['.', 'async', 'time', 'undici', 'http1', 'http2', 'tar', 'hashing', 'watchdog'],
  migrate: ['input', 'output', 'kinds', '.'],
  'object-store': [
    'options',
    'format',
    'credentials',
    'client',
    'layout',
    'reading',
    'upload',
    'hosted',
    'expiry',
    '.',
  ],
  oci: ['.', 'names'],
  peers: [
    'identity',
    'dht',
    'membership/members',
    'membership/gossip',
    'membership/links',
    'membership',
    'wire/protocol',
    'wire/connection',
    'wire/content',
    'wire/control',
    'wire',
    'tracker/tree',
    'tracker/stragglers',
    'tracker',
    'transfer',
    'sharing',
    'client',
    'server',
    '.',
  ],
  'registry-api': [
    'connections',
    'connections/http2',
    'exchange',
    'answer',
    'endpoints',
    'endpoints/push',
    '.',
  ],
  ports: ['access', '.', 'hosted', 'object-store', 'redirects'],
  redirects: ['buckets', 'clients', '.'],
  runtimes: ['files', 'kinds', '.'],
  sources: ['files', 'docker', '.'],
  store: [
    'files',
    'database',
    'journal',
    'index/hosted',
    'index/statistics',
    'index',
    'space',
    'writing',
    'hosted',
    'care',
    '.',
  ],
  upstream: ['options', 'headers', 'http', 'transport', 'auth', 'limits', 'requests', '.'],
  warm: ['content', 'images', '.'],
}

/** A folder with more files than this gets folders inside. */
const MOST_FILES = 12
/** A folder with more files than this has a README. */
const MOST_WITHOUT_README = 8

/** Packages that stand behind a seam, and the rooms that know them. */
const PACKAGES: Readonly<Record<string, string | readonly string[]>> = {
  aws4fetch: 'object-store',
  bcrypt: 'access',
  jose: 'access',
  level: 'store',
  undici: ['lib', 'upstream', 'sources', 'webhooks', 'object-store'],
  tldts: 'upstream',
  hyperdht: 'peers',
  hyperswarm: 'peers',
  pino: 'observe',
  'smol-toml': ['migrate', 'runtimes'],
  yargs: 'cli',
  yaml: ['config', 'migrate', 'doctor'],
}

/** The start of a process or of a thread: what may look at, or end, the process it runs in. */
const ENTRIES = ['main.ts', 'lanes/thread/lane-thread.ts', 'lib/watchdog/watchdog-thread.ts']

interface Import {
  readonly from: string
  /** A path below src, or the name of a package. */
  readonly to: string
}

const SRC = fileURLToPath(new URL('../../src', import.meta.url))
const everything = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).map((file) =>
  file.split(sep).join('/'),
)
const files = everything
  .filter((file) => file.endsWith('.ts'))
  .map((path) => ({ path, text: readFileSync(join(SRC, path), 'utf8') }))
const imports: readonly Import[] = files.flatMap(({ path, text }) => importsOf(path, text))
const inside = imports.filter(({ to }) => to.endsWith('.ts'))

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

/** The folder of a file inside its room, as in `FOLDERS`. */
function folderOf(path: string): string {
  const folder = posix.dirname(path)
  return folder === roomOf(path) ? '.' : folder.slice(roomOf(path).length + 1)
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
  const found = importsOf('store/run-in-process.ts', text).map(({ to }) => to)
  assert.deepEqual(found, ['store/a.ts', 'oci/b.ts', 'level', 'store/d.ts', '@scope/e', 'undici'])
  assert.ok(imports.length > files.length, 'hardly any imports were found in src')
})

test('every file is in a room and a folder that have their rules', () => {
  const homeless = files
    .map(({ path }) => path)
    .filter((path) => {
      const room = roomOf(path)
      const folders = FOLDERS[room] ?? ['.']
      return ROOMS[room] === undefined || !(path === room || folders.includes(folderOf(path)))
    })
  assert.deepEqual(homeless, [])
})

test('imports of other rooms point down only', () => {
  const wrong = inside.filter(({ from, to }) => {
    const allowed = [roomOf(from), ...(ROOMS[roomOf(from)] ?? [])]
    return !allowed.some((one) => isWithin(to, one))
  })
  assert.deepEqual(told(wrong), [])
})

test('imports inside a room point down only', () => {
  const wrong = inside.filter(({ from, to }) => {
    if (roomOf(from) !== roomOf(to)) return false
    const order = FOLDERS[roomOf(from)] ?? ['.']
    return order.indexOf(folderOf(to)) > order.indexOf(folderOf(from))
  })
  assert.deepEqual(told(wrong), [])
})

test('no files import each other in a circle, not even their types', () => {
  const next = new Map<string, string[]>()
  for (const { from, to } of inside) next.set(from, [...(next.get(from) ?? []), to])
  assert.deepEqual(circlesIn(next), [])
  assert.deepEqual(
    circlesIn(
      new Map([
        ['a', ['b']],
        ['b', ['c']],
        ['c', ['b']],
      ]),
    ),
    [['b', 'c', 'b']],
  )
})

/** The first circle that is met from each start. */
function circlesIn(next: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>()
  const circles: string[][] = []
  const follow = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file])
    if (path.includes(file) || done.has(file)) return
    for (const to of next.get(file) ?? []) follow(to, [...path, file])
    done.add(file)
  }
  for (const file of next.keys()) follow(file, [])
  return circles
}

test('no rule is left over', () => {
  const unused = Object.entries(ROOMS).flatMap(([room, allowed]) => {
    const own = imports.filter(({ from }) => roomOf(from) === room)
    const idle = allowed.filter((one) => !own.some(({ to }) => isWithin(to, one)))
    const isThere = files.some(({ path }) => roomOf(path) === room)
    return [...(isThere ? [] : [room]), ...idle.map((one) => `${room} imports nothing of ${one}`)]
  })
  const empty = Object.entries(FOLDERS).flatMap(([room, folders]) =>
    folders
      .filter((folder) => !files.some(({ path }) => roomOf(path) === room && folderOf(path) === folder))
      .map((folder) => `${room}/${folder} has no files`),
  )
  assert.deepEqual([...unused, ...empty], [])
})

test('a folder has few files, and one with more than a handful says what it is for', () => {
  const sizes = new Map<string, number>()
  for (const path of everything.filter((file) => /\.\w+$/.test(file) && !file.endsWith('.md'))) {
    sizes.set(dirname(path), (sizes.get(dirname(path)) ?? 0) + 1)
  }
  const wrong = [...sizes].flatMap(([folder, size]) => {
    if (size > MOST_FILES) return [`${folder} has ${size} files`]
    const isTold = size <= MOST_WITHOUT_README || existsSync(join(SRC, folder, 'README.md'))
    return isTold ? [] : [`${folder} has no README.md`]
  })
  assert.deepEqual(wrong, [])
})

test('a package behind a seam is known only to its rooms', () => {
  const wrong = imports.filter(({ from, to }) => {
    const owner = PACKAGES[to]
    return owner !== undefined && ![owner].flat().includes(roomOf(from))
  })
  assert.deepEqual(told(wrong), [])
})

test('testkit, bench and release import nothing of test', () => {
  const ROOT = join(SRC, '..')
  const wrong = ['testkit', 'bench', 'release'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => posix.join(folder, file.split(sep).join('/')))
      .flatMap((path) => importsOf(path, readFileSync(join(ROOT, path), 'utf8')))
      .filter(({ to }) => to.startsWith('test/')),
  )
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} imports ${to}`),
    [],
  )
})

test('no property fails by chance: tests get fast-check from testkit, where its cases are fixed', () => {
  const ROOT = join(SRC, '..')
  const wrong = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .filter((file) => /from 'fast-check'/.test(readFileSync(join(ROOT, 'test', file), 'utf8')))
    .filter((file) => file !== 'architecture.test.ts')
  assert.deepEqual(wrong, [])
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
