import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { FailedSaves } from '../../../src/sources/docker/failed-saves.ts'

const full = new Failure('disk', 'The store has no room.', { source: 'docker unix:///x' })

/** The milliseconds until the image may be saved again. */
function pauseOf(saves: FailedSaves, id = 'sha256:a'): number {
  try {
    saves.check(id)
    return 0
  } catch (error) {
    assert.ok(error instanceof Failure)
    assert.equal(error.code, 'busy')
    return error.details.retryAfterMs ?? 0
  }
}

test('the pause after a failed save doubles up to five minutes, and another image has none', () => {
  let now = 0
  const saves = new FailedSaves(() => now)
  const pauses: number[] = []
  for (let times = 0; times < 11; times++) {
    saves.add('sha256:a', 'acme/app:v1', full)
    pauses.push(pauseOf(saves) / 1000)
    assert.equal(pauseOf(saves, 'sha256:b'), 0)
    now += pauseOf(saves)
    assert.equal(pauseOf(saves), 0, 'the next request saves')
  }
  assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
})

test('an error says which image failed how often, why, and when the next request is taken', () => {
  const saves = new FailedSaves(() => 0)
  assert.equal(saves.problem(), undefined)
  saves.add('sha256:a', 'acme/app:v1', full)
  assert.equal(saves.problem(), 'acme/app:v1 could not be saved: The store has no room.')
  saves.add('sha256:a', 'acme/app:v1', full)
  assert.throws(() => saves.check('sha256:a'), {
    message:
      'acme/app:v1 could not be saved 2 times in a row: The store has no room. The next request is taken in 2 s.',
  })
})

test('a success, and a quarter of an hour, end it', () => {
  let now = 0
  const saves = new FailedSaves(() => now)
  saves.add('sha256:a', 'acme/app:v1', full)
  saves.remove('sha256:a')
  assert.equal(pauseOf(saves), 0)
  assert.equal(saves.problem(), undefined)
  for (let times = 0; times < 5; times++) saves.add('sha256:a', 'acme/app:v1', full)
  now = 15 * 60_000
  assert.equal(saves.problem(), undefined)
  saves.add('sha256:a', 'acme/app:v1', full)
  assert.equal(pauseOf(saves), 1_000)
})
