import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PullCounts } from '../../src/redirects/pull-counts.ts'

test('the names that were asked for most often come first, equal ones by name', () => {
  const pulls = new PullCounts(10)
  for (const name of ['b', 'a', 'c', 'c']) pulls.add(name)
  assert.deepEqual(pulls.top(2), [
    { name: 'c', count: 2 },
    { name: 'a', count: 1 },
  ])
})

test('a name that is asked for often stays among any number of others, and no count is too high', () => {
  const pulls = new PullCounts(10)
  const asked = 1000
  for (let i = 0; i < asked; i += 1) {
    pulls.add('app')
    pulls.add(`noise-${i}`)
    pulls.add(`more-${i}`)
  }
  const top = pulls.top(100)
  assert.equal(top.length, 10)
  assert.deepEqual(top[0], { name: 'app', count: asked })
  assert.ok(top.slice(1).every(({ count }) => count === 1))
})
