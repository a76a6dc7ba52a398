import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { FileProblems } from '../../../src/observe/records/file-problems.ts'

test('files that cannot be used and settings that need a restart are problems until they are right', (t) => {
  const problems = new FileProblems()
  t.after(() => problems.close())
  assert.deepEqual(problems.all(), [])
  publish('file.checked', { file: '/a', problem: '/a cannot be read' })
  publish('settings.reloaded', { changed: ['allow'], needRestart: ['listen', 'zone'] })
  assert.deepEqual(problems.all(), [
    '/a cannot be read; its last good content is used',
    'the settings file has other values for listen, zone; restart the agent to use them',
  ])
  publish('file.checked', { file: '/a', problem: undefined })
  publish('settings.reloaded', { changed: [], needRestart: [] })
  assert.deepEqual(problems.all(), [])
})
