import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Check, runChecks } from '../../src/doctor/run-checks.ts'
import { ok } from '../../src/doctor/tools/finding.ts'

test('checks run at once, and their findings are in the order of the checks', async () => {
  const ended: string[] = []
  let release = (): void => {}
  const secondRan = new Promise<void>((resolve) => {
    release = resolve
  })
  const checks: Check[] = [
    {
      name: 'first',
      run: async () => {
        await secondRan
        ended.push('first')
        return [ok('first', 'one'), ok('second', 'two')]
      },
    },
    {
      name: 'second',
      run: async () => {
        ended.push('second')
        release()
        return [ok('third', 'three')]
      },
    },
  ]
  const findings = await runChecks(checks, { deadlineMs: 600_000 })
  assert.deepEqual(ended, ['second', 'first'])
  assert.deepEqual(
    findings.map(({ check, found }) => [check, found]),
    [
      ['first', 'one'],
      ['first', 'two'],
      ['second', 'three'],
    ],
  )
})

test('a check that hangs is aborted, one that throws is reported, and the others still have their findings', async () => {
  let aborted: Promise<unknown> | undefined
  const checks: Check[] = [
    {
      name: 'hangs',
      run: ({ signal }) => {
        aborted = once(signal, 'abort')
        return new Promise(() => {})
      },
    },
    { name: 'throws', run: () => Promise.reject(new Error('no such thing')) },
    { name: 'works', run: async () => [ok('works', 'fine')] },
  ]
  const findings = await runChecks(checks, { deadlineMs: 50 })
  await aborted
  assert.deepEqual(findings, [
    {
      check: 'hangs',
      id: 'check-timed-out',
      state: 'not-checked',
      found: 'the check took longer than 0.05 s',
      means: null,
      todo: null,
    },
    {
      check: 'throws',
      id: 'check-failed',
      state: 'not-checked',
      found: 'no such thing',
      means: null,
      todo: null,
    },
    { check: 'works', id: 'works', state: 'ok', found: 'fine', means: null, todo: null },
  ])
})
