import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { FlightPolicy } from '../../src/fetch/flight/flight-policy.ts'
import { requirePrograms } from '../../testkit/programs.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Node } from '../warm/node.ts'
import { Terminal } from './tmux-terminal.ts'

const KIB = 1024
const LONG = 'platform-engineering/services/payment-gateway-with-a-long-name'
const OTHER = 'app'

/** The width of the terminal, and how many columns of the table fit into it at least. */
const WIDTHS = [
  [60, 3],
  [80, 4],
  [140, 8],
] as const

for (const [columns, leastColumns] of WIDTHS) {
  test(`on a terminal of ${columns} columns, warm and ls fit each line into it, with long names too`, async (t) => {
    const programs = requirePrograms(t, ['tmux'])
    if (programs === undefined) return
    const upstream = await startFaultyUpstream()
    t.after(() => upstream.close())
    // The agent waits for a stalled source until the test releases it.
    const patience = { progressTimeoutMs: 600_000, sizeTimeoutMs: 600_000 } satisfies Partial<FlightPolicy>
    const node = await Node.start(t, upstream, { patience })
    const admin = new URL(node.admin).host
    const terminal = await Terminal.open(t, programs.tmux, { columns, rows: 30 })
    for (const repository of [LONG, OTHER]) {
      const [layer] = upstream.addImage(repository, 'v1', [randomBytes(1024 * KIB)]).layers
      upstream.fault(layer ?? assert.fail(), { stallAt: 512 * KIB, times: 1 })
    }
    const assertFits = (screen: readonly string[]): void => {
      // The first line is the command as it was typed, which the shell may wrap.
      for (const line of screen.slice(1)) assert.ok(line.length <= columns, `${line.length} columns: ${line}`)
      t.diagnostic(screen.join('\n'))
    }

    await terminal.type(`agent warm up.test/${LONG}:v1 up.test/${OTHER}:v1 --admin ${admin}`)
    const isUnderWay = (line: string): boolean => / 50% /.test(line)
    const underWay = await terminal.until((lines) => lines.filter(isUnderWay).length === 2)
    assertFits(underWay)
    assert.ok(underWay.some((line) => line.startsWith('up.test/app:v1')))
    upstream.release()
    await terminal.done()

    await terminal.clear()
    await terminal.type(`agent ls --admin ${admin}`)
    const listed = await terminal.done()
    assertFits(listed)
    const [, head = '', ...rows] = listed
    assert.match(head, /^IMAGE +DIGEST +STORED/)
    assert.ok(head.split(/ {2,}/).length >= leastColumns, head)
    assert.equal(rows.filter((line) => /app:v1|name:v1/.test(line)).length, 2)
  })
}
