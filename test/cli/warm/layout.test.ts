import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Terminal } from '../../../src/cli/context/command.ts'
import { Bars, type DrawArea } from '../../../src/cli/terminal/bars.ts'
import { nodeLines } from '../../../src/cli/warm/node-output.ts'
import { barLines } from '../../../src/cli/warm/text.ts'
import type { ImageProgress, WarmProgress } from '../../../src/schemas/warm-report.ts'
import { fc } from '../../../testkit/property-runs.ts'

/** The lines that `agent warm` draws on terminals of different sizes. */

const MIB = 1024 * 1024
const fetched = { peer: 0, objectStore: 0, upstream: 0 }
const TOTAL = '0 of 5 nodes'

function images(...under: readonly ImageProgress[]): WarmProgress {
  const total = { bytes: MIB, ofBytes: 8 * MIB, fetched, bytesPerSecond: MIB, secondsLeft: null }
  return { is: 'progress', under: [...under], images: 0, ofImages: 9, ...total }
}

/** An image with `mib` of 8 MiB; without `mib`, its manifests are not known yet. */
function image(name: string, mib?: number): ImageProgress {
  const isPlanned = mib !== undefined
  const amounts = { bytes: (mib ?? 0) * MIB, ofBytes: isPlanned ? 8 * MIB : 0 }
  return { image: name, isPlanned, parts: 0, ofParts: 3, fetched, ...amounts }
}

function node(name: string, mib?: number) {
  const progress = mib === undefined ? undefined : { bytes: mib * MIB, ofBytes: 8 * MIB, fetched }
  return { name, progress, ended: undefined }
}

function ended(name: string, failed: number) {
  return { name, progress: undefined, ended: { failed } }
}

/** The first word of each line, which is the name in the lines of images and nodes. */
function names(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.split(' ')[0] ?? '')
}

describe('the lines of images in progress', () => {
  const four = images(image('a'), image('b', 0), image('c', 1), image('d', 4))

  test('are in the given order when all fit', () => {
    assert.deepEqual(names(barLines(four, { columns: 99, rows: 5 })), ['a', 'b', 'c', 'd', '0'])
  })

  test('begin with the images that have bytes when not all fit, and end with the number of hidden ones', () => {
    const lines = barLines(four, { columns: 99, rows: 4 })
    assert.deepEqual(names(lines), ['c', 'd', 'and', '0'])
    assert.equal(lines[2], 'and 2 more images')
    assert.deepEqual(names(barLines(four, { columns: 99, rows: 3 })), ['c', 'd', '0'])
    assert.deepEqual(names(barLines(four, { columns: 99, rows: 2 })), ['c', '0'])
    assert.deepEqual(names(barLines(four, { columns: 99, rows: 1 })), ['0'])
  })
})

describe('the lines of images on a narrow terminal', () => {
  const long = 'registry.example.com/a-team/with-a-long-name/application:v1.2.3'
  const progress = images(image('alpine:3', 1), image(long, 4), {
    ...image('slow/host:1'),
    waitsFor: '127.0.0.1:26999: ECONNREFUSED, next try in 6 s',
  })

  test('keep bar, percentage and amount at 60 columns, and the end of a long name', () => {
    const [first = '', second = '', third = ''] = barLines(progress, { columns: 60, rows: 9 })
    assert.equal(first, 'alpine:3                 [=>      ]  12%  1.0 MiB of 8.0 MiB')
    assert.match(second, /^….*\/application:v1\.2\.3 {2}\[====> {3}\] {2}50% {2}4\.0 MiB of 8\.0 MiB$/)
    assert.match(third, /^slow\/host:1 +waits: 127\.0\.0\.1:26999: ECONN/)
  })

  test('fit whatever the width, and have name and percentage from 24 columns on', () => {
    for (let columns = 1; columns < 130; columns += 1) {
      const lines = barLines(progress, { columns, rows: 9 })
      for (const line of lines) assert.ok(line.length <= columns, `${columns}: ${line}`)
      if (columns < 24) continue
      assert.match(lines[0] ?? '', /^alpine:3 .* 12%/)
      assert.match(lines[1] ?? '', /v1\.2\.3 .* ?50%/)
      assert.match(lines[3] ?? '', /^0 of 9 images/)
    }
  })
})

describe('the lines of nodes in progress', () => {
  const five = [ended('done', 0), ended('broken', 1), node('looking'), node('ahead', 7), node('behind', 1)]

  test('begin with the slowest node in progress and end with the finished nodes', () => {
    const lines = nodeLines(five, TOTAL, { columns: 99, rows: 6 })
    assert.deepEqual(names(lines), ['behind', 'ahead', 'looking', 'broken', 'done', '0'])
  })

  test('are hidden when they do not fit, but never the total', () => {
    const lines = nodeLines(five, TOTAL, { columns: 99, rows: 4 })
    assert.deepEqual(names(lines), ['behind', 'ahead', 'and', '0'])
    assert.equal(lines[2], 'and 3 more nodes')
    assert.deepEqual(names(nodeLines(five, TOTAL, { columns: 99, rows: 3 })), ['behind', 'ahead', '0'])
    assert.deepEqual(nodeLines(five, TOTAL, { columns: 99, rows: 1 }), [TOTAL])
  })

  test('are at most 13', () => {
    const many = Array.from({ length: 40 }, (_, index) => node(`n${index}`, 1))
    const lines = nodeLines(many, TOTAL, { columns: 99, rows: 60 })
    assert.equal(lines.length, 14)
    assert.equal(lines[12], 'and 28 more nodes')
  })
})

test('drawn lines fit into the terminal with a row to spare, and clearing removes all of them', async () => {
  const sizes = fc.record({ columns: fc.nat(120), rows: fc.nat(20) })
  await fc.assert(
    fc.asyncProperty(sizes, fc.array(fc.string(), { maxLength: 30 }), async (size, texts) => {
      const out: string[] = []
      const bars = new Bars(terminalOf(size, out))
      const lines = texts.map((text) => text.replaceAll(/\s/g, '.'))
      let given: DrawArea | undefined
      await bars.draw((area) => {
        given = area
        return lines
      })
      await bars.clear()
      const [drawn = '', cleared] = out
      const rows = drawn.split('\n').slice(0, -1)
      assert.deepEqual(given, { columns: Math.max(0, size.columns - 1), rows: Math.max(0, size.rows - 1) })
      assert.ok(rows.length < Math.max(1, size.rows))
      for (const row of rows) assert.ok(row.length < Math.max(1, size.columns))
      const ups = (cleared ?? '').split('\u001b[').filter((order) => order.endsWith('A'))
      const up = ups.reduce((sum, order) => sum + (Number.parseInt(order, 10) || 1), 0)
      assert.equal(up, rows.length)
    }),
  )
})

function terminalOf(size: Pick<Terminal, 'columns' | 'rows'>, out: string[]): Terminal {
  return {
    ...size,
    out: async (text) => {
      out.push(text)
    },
    err: () => assert.fail('there is no error to print'),
    isInteractive: true,
    env: {},
    version: '0',
    stopped: () => AbortSignal.abort(),
  }
}
