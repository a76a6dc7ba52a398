import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScheduledCopies } from '../../src/copies/scheduled-copies.ts'
import { subscribe } from '../../src/observe/events.ts'
import { parseReference, type Reference } from '../../src/oci/names/reference.ts'
import { Failure } from '../../src/ports/failure.ts'
import { NEVER } from '../object-store/bucket-fixture.ts'
import { type CopiesLab, setUp } from './copies-fixture.ts'

const HOUR_MS = 3_600_000

function image(name: string): Reference {
  const parsed = parseReference(name)
  assert.ok(parsed.ok)
  return parsed.value
}

function schedule(
  { copies, copy }: CopiesLab,
  options: Partial<ConstructorParameters<typeof ScheduledCopies>[0]> = {},
): ScheduledCopies {
  return new ScheduledCopies({
    schedule: { everyMs: HOUR_MS },
    images: [image('up.test/app:1')],
    copies,
    records: copy.records,
    owns: () => true,
    ...options,
  })
}

test('an image is copied when it is due, once for each time of the schedule, also by another node', async (t) => {
  const lab = await setUp(t)
  lab.addImage('1')
  const first = schedule(lab)
  await first.check(NEVER)
  await lab.copies.idle()
  assert.equal(lab.copies.state.copied, 1)
  // Until the next time neither this node copies it again, nor one that has just started.
  await first.check(NEVER)
  await schedule(lab).check(NEVER)
  await lab.copies.idle()
  assert.equal(lab.copies.state.copied, 1)
  const later = schedule(lab, { now: () => Date.now() + HOUR_MS })
  await later.check(NEVER)
  await lab.copies.idle()
  assert.equal(lab.copies.state.copied, 2)
})

test('the times of a cron line count', async (t) => {
  const lab = await setUp(t)
  lab.addImage('1')
  const line = schedule(lab, { schedule: { cron: '0 0 1 1 *' } })
  await line.check(NEVER)
  await lab.copies.idle()
  await line.check(NEVER)
  await lab.copies.idle()
  assert.equal(lab.copies.state.copied, 1)
})

test('only the owner of an image copies it, and another member does when it becomes the owner', async (t) => {
  const lab = await setUp(t)
  lab.addImage('1')
  const asked: string[] = []
  let isOwner = false
  const other = schedule(lab, {
    owns: (key) => {
      asked.push(key)
      return isOwner
    },
  })
  await other.check(NEVER)
  assert.deepEqual(asked, ['copy s3://images/cache up.test/app:1'])
  assert.equal(lab.copies.state.waiting, 0)
  assert.deepEqual(lab.fake.requests, [])
  isOwner = true
  await other.check(NEVER)
  await lab.copies.idle()
  assert.equal(lab.copies.state.copied, 1)
})

test('a record that cannot be read does not keep other images, and is told once', async (t) => {
  const lab = await setUp(t)
  lab.addImage('2')
  let failing: string | undefined = 'up.test/app:1'
  const due = schedule(lab, {
    images: [image('up.test/app:1'), image('up.test/app:2')],
    records: {
      begunAt: async (cause, name, limits) => {
        if (name === failing) throw new Failure('denied', 'the bucket has answered 403')
        return lab.copy.records.begunAt(cause, name, limits)
      },
    },
  })
  const told: (string | undefined)[] = []
  t.after(subscribe('copies.failing', ({ problem }) => told.push(problem)))
  await due.check(NEVER)
  await due.check(NEVER)
  await lab.copies.idle()
  assert.ok(lab.tagIn('2') !== undefined)
  assert.equal(lab.copies.state.problem, 'the bucket has answered 403')
  assert.deepEqual(told, ['the bucket has answered 403'])
  failing = undefined
  lab.addImage('1')
  await due.check(NEVER)
  await lab.copies.idle()
  assert.equal(lab.copies.state.problem, undefined)
  assert.deepEqual(told, ['the bucket has answered 403', undefined])
})

test('a copy that has failed is tried again, after twice as long each time until it succeeds', async (t) => {
  const lab = await setUp(t)
  const startedAt = Math.floor(Date.now() / HOUR_MS) * HOUR_MS + HOUR_MS
  let now = startedAt
  const due = schedule(lab, { schedule: { everyMs: 24 * HOUR_MS }, now: () => now })
  const triedAt = async (minutes: readonly number[]): Promise<readonly number[]> => {
    const tried: number[] = []
    for (const minute of minutes) {
      now = startedAt + minute * 60_000
      const { failed, copied } = lab.copies.state
      await due.check(NEVER)
      await lab.copies.idle()
      const after = lab.copies.state
      if (after.failed + after.copied > failed + copied) tried.push(minute)
    }
    return tried
  }
  const minutes = Array.from({ length: 16 }, (_, minute) => minute)
  assert.deepEqual(await triedAt(minutes), [0, 1, 3, 7, 15])
  // The longest pause is an hour.
  assert.deepEqual(await triedAt([31, 63, 122, 123, 182, 183]), [31, 63, 123, 183])
  lab.addImage('1')
  assert.deepEqual(await triedAt([242, 243, 244]), [243])
})

test('a copy that began before the schedule said so does not count, however late it has ended', async (t) => {
  const lab = await setUp(t)
  lab.addImage('1')
  const due = Math.floor(Date.now() / HOUR_MS) * HOUR_MS
  const real = performance.now.bind(performance)
  let passedMs = 0
  t.mock.method(performance, 'now', () => real() + passedMs)
  lab.fake.faultOf = ({ method }) => {
    if (method === 'PUT') passedMs = 2 * HOUR_MS
    return undefined
  }
  const first = schedule(lab, { now: () => due })
  await first.check(NEVER)
  await lab.copies.idle()
  const begunAt = await lab.copy.records.begunAt('scheduled', 'up.test/app:1', NEVER)
  assert.ok(begunAt !== undefined && begunAt < due)
  await schedule(lab, { now: () => due }).check(NEVER)
  await lab.copies.idle()
  assert.equal(lab.copies.state.copied, 2)
})
