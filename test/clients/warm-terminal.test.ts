import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import type { FlightPolicy } from '../../src/fetch/flight/flight-policy.ts'
import { requirePrograms } from '../../testkit/programs.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Node } from '../warm/node.ts'
import { PROMPT, Terminal } from './tmux-terminal.ts'

/** The output of `agent warm` on a terminal. */

const KIB = 1024
const COLUMNS = 100

interface WarmLab {
  readonly upstream: FaultyUpstream
  /** `host:port` of the agent's admin address. */
  readonly admin: string
}

async function startLab(t: TestContext): Promise<WarmLab> {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  // The agent waits for a stalled source until the test releases it.
  const patience = { progressTimeoutMs: 600_000, sizeTimeoutMs: 600_000 } satisfies Partial<FlightPolicy>
  const { admin } = await Node.start(t, upstream, { patience })
  return { upstream, admin: new URL(admin).host }
}

async function startWithTerminal(
  t: TestContext,
  { rows = 30 } = {},
): Promise<(WarmLab & { readonly terminal: Terminal }) | undefined> {
  const programs = requirePrograms(t, ['tmux'])
  if (programs === undefined) return undefined
  const lab = await startLab(t)
  return { ...lab, terminal: await Terminal.open(t, programs.tmux, { columns: COLUMNS, rows }) }
}

/** Adds an image whose layer stalls in its middle. */
function addStalledImage(upstream: FaultyUpstream, repository: string): string {
  const { layers } = upstream.addImage(repository, 'v1', [randomBytes(1024 * KIB)])
  const [layer] = layers
  assert.ok(layer)
  upstream.fault(layer, { stallAt: 512 * KIB, times: 1 })
  return layer
}

const UNDER_WAY = /^up\.test\/\w+:v1 +\[=+> +\] {2}50% {2}512\.\d KiB of 1\.0 MiB, 512\.\d KiB from upstream$/
/** What an earlier run has brought is not from upstream in this run. */
const RESUMED = /^up\.test\/\w+:v1 +\[=+> +\] {2}50% {2}512\.\d KiB of 1\.0 MiB$/
/** When nothing has come for a while, the rate is 0 and no remaining time is shown. */
const TOTAL =
  /^(\d) of (\d) images?, \d\S+ [KM]iB of \d\S+ [KM]iB, \d\S* \w*B\/s, (?:\d+m?s left, )?\d\S+ [KM]iB from upstream$/
const STORED = /^stored {2}up\.test\/(\w+):v1 {2}sha256:[0-9a-f]{12} {2}3 parts, \d\S+ [KM]iB \((.*)\)$/

describe('warming a node', { concurrency: true }, () => {
  test('on a terminal shows the progress of each image and of all, and then the results', async (t) => {
    const lab = await startWithTerminal(t)
    if (lab === undefined) return
    const { upstream, admin, terminal } = lab
    upstream.addImage('quick', 'v1', [randomBytes(50 * KIB)])
    const layers = [addStalledImage(upstream, 'large'), addStalledImage(upstream, 'other')]
    const typed = `agent warm up.test/quick:v1 up.test/large:v1 up.test/other:v1 --admin ${admin}`
    await terminal.type(typed)

    await t.test('while the images are fetched', async () => {
      await Promise.all(layers.map((layer) => upstream.stalled(layer)))
      const isUnderWay = (line: string | undefined): boolean =>
        UNDER_WAY.test(line ?? '') && (line ?? '').length < COLUMNS
      const screen = await terminal.until(
        (lines) =>
          lines.filter(isUnderWay).length === 2 && lines.some((line) => TOTAL.exec(line)?.[1] === '1'),
      )
      t.diagnostic(screen.join('\n'))
      const [first, quick, one, two, total, ...more] = screen
      assert.equal(first, `${PROMPT} ${typed}`)
      assert.deepEqual(STORED.exec(quick ?? '')?.slice(1, 2), ['quick'])
      assert.ok(isUnderWay(one) && isUnderWay(two))
      assert.match(total ?? '', TOTAL)
      assert.deepEqual(TOTAL.exec(total ?? '')?.slice(1), ['1', '3'])
      assert.deepEqual(more, [], 'an earlier line is still on the screen')
    })

    await t.test('when the images are stored', async () => {
      upstream.release()
      const [first, ...screen] = await terminal.done()
      assert.equal(first, `${PROMPT} ${typed}`)
      const stored = screen.slice(0, 3).map((line) => STORED.exec(line)?.slice(1) ?? [line])
      assert.deepEqual(stored.map(([name]) => name).sort(), ['large', 'other', 'quick'])
      for (const [, origin] of stored) assert.match(origin ?? '', /^\d\S+ [KM]iB from upstream$/)
      assert.match(screen[3] ?? '', /^Warmed 3 images with 2\.1 MiB in \d\S*s: 2\.1 MiB from upstream\.$/)
      assert.deepEqual(screen.slice(4), [PROMPT])
    })

    await t.test('and prints only plain lines into a pipe', async () => {
      await terminal.clear()
      await terminal.type(`agent warm up.test/quick:v1 --admin ${admin} | cat -v`)
      const [, stored, all, ...rest] = await terminal.done()
      assert.match(
        stored ?? '',
        /^stored {2}up\.test\/quick:v1 {2}sha256:[0-9a-f]{64} {2}3 parts, .* already stored\)$/,
      )
      assert.match(all ?? '', /^Warmed 1 image with .* already stored\.$/)
      assert.deepEqual(rest, [PROMPT])
    })
  })

  test('can be interrupted with Ctrl-C, and the next run continues', async (t) => {
    const lab = await startWithTerminal(t)
    if (lab === undefined) return
    const { upstream, admin, terminal } = lab
    const layer = addStalledImage(upstream, 'large')
    const typed = `agent warm up.test/large:v1 --admin ${admin}`
    await terminal.type(typed)
    await terminal.until((lines) => UNDER_WAY.test(lines[1] ?? ''))
    await terminal.press('C-c')
    const messages = ['agent: interrupted; completed work is kept', PROMPT]
    assert.deepEqual(await terminal.done(), [`${PROMPT} ${typed}`, ...messages])
    await terminal.type('echo $?')
    await terminal.until((lines) => lines.at(-2) === '130')

    await terminal.clear()
    await terminal.type(typed)
    await terminal.until((lines) => RESUMED.test(lines[1] ?? ''))
    upstream.release()
    const [, stored, all, ...rest] = await terminal.done()
    assert.equal(STORED.exec(stored ?? '')?.[1], 'large')
    assert.match(all ?? '', /^Warmed 1 image with 1\.0 MiB in /)
    assert.deepEqual(rest, [PROMPT])
    assert.equal(upstream.bytesSent(layer), 1024 * KIB, 'upstream has not sent every byte exactly once')
  })

  test('on a terminal of four rows shows as many lines as fit, and leaves none of them in the history', async (t) => {
    const lab = await startWithTerminal(t, { rows: 4 })
    if (lab === undefined) return
    const { upstream, admin, terminal } = lab
    const repositories = ['four', 'one', 'three', 'two']
    const layers = repositories.map((repository) => addStalledImage(upstream, repository))
    const typed = `agent warm ${repositories.map((name) => `up.test/${name}:v1`).join(' ')} --admin ${admin}`
    await terminal.type(typed)
    await Promise.all(layers.map((layer) => upstream.stalled(layer)))
    await terminal.until((lines) => lines.slice(0, 2).every((line) => UNDER_WAY.test(line)))
    const [first, one, two, total, ...more] = await terminal.history()
    assert.equal(first, `${PROMPT} ${typed}`)
    assert.match(one ?? '', UNDER_WAY)
    assert.match(two ?? '', UNDER_WAY)
    assert.deepEqual(TOTAL.exec(total ?? '')?.slice(1), ['0', '4'])
    assert.deepEqual(more, [])

    upstream.release()
    await terminal.done()
    const [again, ...results] = await terminal.history()
    assert.equal(again, first)
    const stored = results.slice(0, 4).map((line) => STORED.exec(line)?.[1] ?? line)
    assert.deepEqual(stored.sort(), repositories)
    assert.match(results[4] ?? '', /^Warmed 4 images with /)
    assert.deepEqual(results.slice(5), [PROMPT])
  })
})
