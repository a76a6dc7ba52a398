import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInProcess } from '../run-in-process.ts'

test('the script of each shell is printed, and another shell is refused', async () => {
  const scripts = await Promise.all(
    ['bash', 'zsh', 'fish'].map((shell) => runInProcess(['completion', shell])),
  )
  assert.deepEqual(
    scripts.map(({ code, err }) => [code, err]),
    [
      [0, ''],
      [0, ''],
      [0, ''],
    ],
  )
  assert.match(scripts[0]?.out ?? '', /complete -o default -F _leat leat agent\n$/)
  assert.match(scripts[1]?.out ?? '', /^#compdef leat agent\n/)
  assert.match(scripts[2]?.out ?? '', /complete --command agent --wraps leat\n/)
  const { code, err } = await runInProcess(['completion', 'tcsh'])
  assert.deepEqual([code, err], [2, 'agent: unknown shell "tcsh"; expected bash, zsh, fish\n'])
})
