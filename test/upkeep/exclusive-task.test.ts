import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collect, UpkeepFixture } from './upkeep-fixture.ts'

const fixture = new UpkeepFixture()
const { signal } = new AbortController()

test('only one task runs at a time; an abandoned task counts as ended', async () => {
  fixture.putTwoImages()
  const begun = fixture.upkeep.verify({ bytesPerSecond: undefined, signal })
  assert.equal((await begun.next()).value.is, 'progress')
  for (const other of [
    fixture.upkeep.verify({ bytesPerSecond: undefined, signal }),
    fixture.upkeep.gc({ toBytes: 0, signal }),
    fixture.upkeep.remove({ subjects: ['alpine:app'], force: false, signal }),
  ]) {
    await assert.rejects(other.next(), { code: 'conflict', message: /^a verification is already running/ })
  }
  await begun.return(undefined)
  await collect(fixture.upkeep.gc({ toBytes: 0, signal }))
})

test('the next task can begin as soon as the last line of a task was read', async () => {
  fixture.putTwoImages()
  const begun = fixture.upkeep.verify({ bytesPerSecond: undefined, signal })
  let line = await begun.next()
  while (line.value.is !== 'done') line = await begun.next()
  const other = fixture.upkeep.verify({ bytesPerSecond: undefined, signal })
  assert.equal((await other.next()).value.is, 'progress')
  // The end of the first task must not end the second one.
  await begun.next()
  await assert.rejects(fixture.upkeep.gc({ toBytes: 0, signal }).next(), { code: 'conflict' })
  await other.return(undefined)
})

test('a task reports progress while a step takes long, and ends when it is aborted', async () => {
  fixture.putTwoImages()
  const stop = new AbortController()
  fixture.store.onStep = (called) =>
    new Promise((_, reject) => {
      called.addEventListener('abort', () => reject(called.reason))
    })
  const lines: string[] = []
  await assert.rejects(async () => {
    for await (const { is } of fixture.upkeep.gc({ toBytes: 0, signal: stop.signal })) {
      lines.push(is)
      if (lines.length === 3) stop.abort()
    }
  })
  assert.deepEqual(lines, ['progress', 'progress', 'progress'])
  fixture.store.onStep = () => {}
  assert.equal((await collect(fixture.upkeep.gc({ toBytes: 0, signal }))).at(-1)?.is, 'done')
})
