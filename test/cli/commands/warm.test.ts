import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import type { FlightPolicy } from '../../../src/fetch/flight/flight-policy.ts'
import { WarmLine } from '../../../src/schemas/warm-report.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { requirePrograms } from '../../../testkit/programs.ts'
import type { ImageAdded } from '../../../testkit/registries/faulty/content.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { openStore } from '../../store/folder.ts'
import { Node } from '../../warm/node.ts'
import { type CommandResult, MAIN, runAgent } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'
import { TerminalSession } from '../terminal-session.ts'

/** `agent warm` with a running agent, and on a data folder. */

/** No attempt times out, so a stalled download waits until the test releases it. */
const PATIENCE = {
  progressTimeoutMs: 600_000,
  sizeTimeoutMs: 600_000,
  retryPauseMs: 5,
} satisfies Partial<FlightPolicy>
const KIB = 1024
let upstream: FaultyUpstream
let app: ImageAdded
let folder: string
let config: string

before(async () => {
  upstream = await startFaultyUpstream()
  app = upstream.addImage('app', 'v1', [randomBytes(150 * KIB), randomBytes(100)])
  upstream.addImage('other', 'v1', [randomBytes(50 * KIB)])
  folder = await mkdtemp(join(tmpdir(), 'leat-warm-cli-'))
  config = join(folder, 'config.yaml')
  await writeFile(config, `upstreams:\n  - {namespace: up.test, host: "${upstream.host}", tls: false}\n`)
})

after(async () => {
  await upstream.close()
  await rm(folder, { recursive: true })
})

afterEach(() => {
  upstream.release()
  upstream.heal()
})

function at(node: Node): string[] {
  return ['--admin', new URL(node.admin).host]
}

function lines({ out }: CommandResult): WarmLine[] {
  return out
    .trimEnd()
    .split('\n')
    .map((line) => v.parse(WarmLine, JSON.parse(line)))
}

test('without a terminal, agent warm prints a line for each image and a summary', async (t) => {
  const node = await Node.start(t, upstream)
  const { code, out, err } = await runAgent(['warm', 'up.test/app:v1', 'up.test/other:v1', ...at(node)])
  assert.deepEqual([code, err], [0, ''])
  const [one, two, all] = out.trimEnd().split('\n').sort()
  assert.match(
    all ?? '',
    /^stored {2}up\.test\/other:v1 {2}sha256:[0-9a-f]{64} {2}3 parts, .* from upstream\)$/,
  )
  assert.match(
    two ?? '',
    /^stored {2}up\.test\/app:v1 {2}sha256:[0-9a-f]{64} {2}4 parts, .* from upstream\)$/,
  )
  assert.match(one ?? '', /^Warmed 2 images with 201\.\d KiB in \d+m?s: 201\.\d KiB from upstream\.$/)
  const again = await runInProcess(['warm', 'up.test/app:v1', '--pin', ...at(node)])
  assert.match(
    again.out,
    /\(1\S+ KiB already stored\), pinned\nWarmed 1 image with .*: 1\S+ KiB already stored\.\n$/,
  )
})

test('--json prints an event on each line, and the result on the last', async (t) => {
  const node = await Node.start(t, upstream)
  const { code, ...ended } = await runAgent([
    'warm',
    'up.test/app:v1',
    'up.test/app:v9',
    '--json',
    ...at(node),
  ])
  assert.equal(code, 1)
  const events = lines({ code, ...ended })
  assert.deepEqual(
    events.flatMap((line) => (line.is === 'image' ? [[line.image, line.error === null]] : [])).sort(),
    [
      ['up.test/app:v1', true],
      ['up.test/app:v9', false],
    ],
  )
  const done = events.at(-1)
  assert.ok(done?.is === 'done' && done.images === 2 && done.failed === 1)
})

test('--file reads a list of images with comments', async (t) => {
  const node = await Node.start(t, upstream)
  const file = join(folder, 'images.txt')
  await writeFile(file, '# what we run\nup.test/app:v1   # the app\n\n  up.test/other:v1\n')
  const { code, out } = await runInProcess(['warm', '--file', file, ...at(node)])
  assert.equal(code, 0)
  assert.match(out, /Warmed 2 images/)
})

test('each failed image is one sentence and makes the exit code 1, and the others are warmed', async (t) => {
  const node = await Node.start(t, upstream)
  const table: readonly [string[], RegExp][] = [
    [['up.test/app:v9'], /^agent: up\.test\/app has no tag v9; check the tag$/],
    [['up.test/ap'], /^agent: up\.test\/ap:latest does not exist: .*; check the name$/],
    [
      ['up.test/app:v1', '--platform', 'linux/s390x'],
      /^agent: up\.test\/app:v1 has no image for linux\/s390x; available: /,
    ],
  ]
  for (const [args, expected] of table) {
    const { code, out, err } = await runInProcess(['warm', ...args, ...at(node)])
    assert.deepEqual([code, out], [1, ''])
    assert.match(err.trimEnd(), expected)
    assert.equal(err.trimEnd().split('\n').length, 1)
  }
  const some = await runAgent(['warm', 'up.test/app:v9', 'up.test/other:v1', ...at(node)])
  assert.equal(some.code, 1)
  assert.match(some.out, /Warmed 1 of 2 images/)
  assert.match(some.err, /^agent: up\.test\/app has no tag v9; check the tag\n$/)
})

test('without an agent, agent warm suggests --data', async () => {
  const { code, err } = await runInProcess(['warm', 'up.test/app:v1', '--admin', '127.0.0.1:1'])
  assert.equal(code, 1)
  assert.match(
    err,
    /^agent: no agent answers at 127\.0\.0\.1:1; .*, or give the data folder with --data [^\n]*\n$/,
  )
})

test('wrong usage of agent warm ends with exit code 2 and one sentence', async () => {
  const list = join(folder, 'wrong.txt')
  await writeFile(list, 'up.test/app:v1\nup.test/App\n')
  const empty = join(folder, 'empty.txt')
  await writeFile(empty, '# nothing\n')
  const table: readonly [string[], RegExp][] = [
    [[], /warm needs an image such as alpine:3\.20, or a list of them with --file/],
    [['Up'], /"Up" is not an image name/],
    [['--file', list], /wrong\.txt:2: "up\.test\/App" is not an image name/],
    [['--file', empty], /empty\.txt contains no image/],
    [['a', '--platform', 'linux'], /--platform: "linux" is not a platform.*, or all/],
    [
      ['a', '--platform', 'all', '--platform', 'linux/amd64'],
      /--platform all cannot be combined with another/,
    ],
  ]
  const all = await Promise.all(table.map(([args]) => runInProcess(['warm', ...args])))
  for (const [i, { code, err }] of all.entries()) {
    const [, expected] = table[i] ?? assert.fail()
    assert.equal(code, 2, err)
    assert.match(err, expected)
    assert.match(err, /^agent: [^\n]+\n$/)
  }
  const missing = await runInProcess(['warm', '--file', join(folder, 'none')])
  assert.equal(missing.code, 1)
  assert.match(missing.err, /none cannot be read: it does not exist\n$/)
})

test('with --data, agent warm fills a data folder, which may be new, without an agent', async (t) => {
  const data = join(folder, 'alone')
  const args = ['warm', 'up.test/app:v1', '--data', data, '--config', config]
  const first = await runAgent([...args, '--pin'])
  assert.deepEqual([first.code, first.err], [0, ''])
  assert.match(first.out, /^stored {2}up\.test\/app:v1 .*, pinned\nWarmed 1 image .* from upstream\.\n$/)
  const store = await openStore({ path: data })
  try {
    for (const digest of [app.manifest, app.config, ...app.layers]) assert.ok(await store.blobs.facts(digest))
    assert.ok(await store.isPinned(app.manifest))
  } finally {
    await store.close()
  }
  assert.match((await runInProcess(args)).out, /already stored\.\n$/)
  await Node.start(t, upstream, { data })
  const locked = await runInProcess(args)
  assert.equal(locked.code, 1)
  assert.match(locked.err, /^agent: an agent is running on .*; leave out --data to ask it/)
})

test('with --data, an image that exceeds the limit fails with one sentence', async () => {
  const data = join(folder, 'small')
  const { code, err } = await runInProcess(['warm', 'up.test/app:v1', '--data', data, '--config', config], {
    LEAT_MAX_BYTES: '100KiB',
  })
  assert.equal(code, 1)
  assert.match(
    err,
    /^agent: up\.test\/app:v1 needs 15\d\.\d KiB, but at most 100\.0 KiB can be stored; [^\n]*\n$/,
  )
})

/** Resolves when the file has this size. */
async function hasBytes(path: string, size: number): Promise<void> {
  while (((await stat(path).catch(() => undefined))?.size ?? 0) < size) await delay(5)
}

for (const way of ['a running agent', 'a folder without one'] as const) {
  test(`after Ctrl-C, the next run resumes the download: ${way}`, async (t) => {
    const repository = way === 'a running agent' ? 'slow' : 'slower'
    const [layer] = upstream.addImage(repository, 'v1', [randomBytes(400 * KIB)]).layers
    assert.ok(layer)
    upstream.fault(layer, { stallAt: 200 * KIB, times: 1 })
    const data = join(folder, `interrupted-${repository}`)
    const where =
      way === 'a running agent'
        ? at(await Node.start(t, upstream, { patience: PATIENCE, data }))
        : ['--data', data, '--config', config]
    const args = ['warm', `up.test/${repository}:v1`, ...where]
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    t.after(() => child.kill('SIGKILL'))
    let err = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text
    })
    await upstream.stalled(layer)
    await hasBytes(join(new Layout(data).partialOf(layer), 'data'), 100 * KIB)
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    assert.equal(code, 130)
    // On a slow machine, agent warm prints its progress before.
    assert.match(err, /^(?:0 of 1 image, .*\n)*agent: interrupted; completed work is kept\n$/)
    upstream.release()
    const again = await runInProcess(args)
    assert.equal(again.code, 0, again.err)
    assert.ok(upstream.bytesSent(layer) < 600 * KIB, 'the download was resumed')
  })
}

test('without a terminal, agent warm prints its progress every 10 seconds', async (t) => {
  const node = await Node.start(t, upstream, { patience: PATIENCE })
  const [layer] = upstream.addImage('held', 'v1', [randomBytes(300 * KIB)]).layers
  upstream.fault(layer ?? '', { stallAt: 150 * KIB })
  let seconds = 0
  const printedAt: number[] = []
  const lines: string[] = []
  const clock = {
    /** Each reading is 6 s later than the one before. */
    now: () => {
      seconds += 6
      return seconds * 1000
    },
    onErr: (text: string) => {
      printedAt.push(seconds)
      lines.push(text)
      if (text.includes(' KiB of 300.')) upstream.release()
    },
  }
  const { code, out } = await runInProcess(['warm', 'up.test/held:v1', ...at(node)], {}, clock)
  assert.equal(code, 0)
  assert.deepEqual(
    printedAt,
    printedAt.map((_, i) => 18 + 12 * i),
  )
  // After a long stall the rate is 0, and no remaining time is printed.
  assert.match(
    lines.at(-1) ?? '',
    /^0 of 1 image, \S+ KiB of 300\.\d KiB, \S+ \w*B\/s, (?:\d+m?s left, )?\S+ KiB from upstream\n$/,
  )
  assert.match(out, /^stored {2}up\.test\/held:v1 {2}sha256:[0-9a-f]{64} {2}.*\nWarmed 1 image .*\.\n$/)
})

test('on a terminal, bars show the images in progress and disappear when the images are stored', async (t) => {
  const programs = requirePrograms(t, ['script'])
  if (programs === undefined) return
  const node = await Node.start(t, upstream, { patience: PATIENCE })
  const [layer] = upstream.addImage('drawn', 'v1', [randomBytes(1024 * KIB)]).layers
  upstream.fault(layer ?? '', { stallAt: 512 * KIB })
  const terminal = new TerminalSession(t, programs.script, ['warm', 'up.test/drawn:v1', ...at(node)])
  const bar = /up\.test\/drawn:v1 {2}\[=*> *\] +\d+% {2}\d\S* KiB of 1\.0 MiB, \S+ KiB from upstream/
  const total = /0 of 1 image, .* of 1\.0 MiB, \S+ [KM]iB\/s, \S+ left/
  await terminal.until((text) => bar.test(text) && total.test(text))
  upstream.release()
  assert.equal(await terminal.exitCode(), 0, terminal.out)
  const { out } = terminal
  const after = out.slice(out.lastIndexOf('\u001b[K') + 3)
  assert.match(after, /^stored {2}up\.test\/drawn:v1 {2}sha256:[0-9a-f]{12} {2}.*\r\nWarmed 1 image .*\r\n$/)
  const drawn = out.split(/\r|\n/).map((text) => text.slice(text.lastIndexOf('\u001b[K') + 3))
  for (const text of drawn)
    assert.ok(text.startsWith('Warmed') || text.startsWith('stored') || text.length < 100)
})
