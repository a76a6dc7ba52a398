import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '../../../src/config/load.ts'
import { given, problem } from '../settings-file.ts'

function entry(more: string): string {
  return `upstreams:\n  - namespace: a.io\n    ${more}\n`
}

test('the limits of an upstream are read', async () => {
  const limits =
    'connectionsPerBlob: 4\n    maxConnections: 16\n    maxRequestsPerSecond: 10\n    maxBytesPerSecond: 50MiB'
  const { upstreams } = await loadSettings(await given(entry(limits)))
  const [upstream] = upstreams
  assert.equal(upstream?.connectionsPerBlob, 4)
  assert.equal(upstream.maxConnections, 16)
  assert.equal(upstream.maxRequestsPerSecond, 10)
  assert.equal(upstream.maxBytesPerSecond, 50 * 1024 * 1024)
})

test('a number of connections may be left to the agent', async () => {
  const { upstreams } = await loadSettings(await given(entry('connectionsPerBlob: auto')))
  assert.equal(upstreams[0]?.connectionsPerBlob, 'auto')
})

const WRONG: readonly [string, RegExp][] = [
  ['connectionsPerBlob: 9', /expected auto, or a number from 1 to 8/],
  ['connectionsPerBlob: many', /expected auto, or a number from 1 to 8/],
  ['maxConnections: 0', /expected a number from 1 to 1000/],
  ['maxRequestsPerSecond: 0.5', /expected a number from 1 to 1000/],
  ['maxBytesPerSecond: 1KiB', /at least 64KiB/],
]
for (const [text, message] of WRONG) {
  test(`${text} is refused`, async () => {
    assert.match(await problem(entry(text)), message)
  })
}
