import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { publish } from '../../../src/observe/events.ts'
import { EventFollowers } from '../../../src/observe/records/event-followers.ts'
import { EventLine } from '../../../src/schemas/event-report.ts'
import { flightEnded, requestEnded } from '../sample-events.ts'

/** The lines of a follower, which has begun to follow. */
async function followed(
  followers: EventFollowers,
  signal = new AbortController().signal,
): Promise<AsyncIterator<EventLine>> {
  const lines = (followers.follow(signal) ?? assert.fail('too many followers'))[Symbol.asyncIterator]()
  assert.equal((await lines.next()).value.is, 'idle')
  return lines
}

async function next(lines: AsyncIterator<EventLine>): Promise<EventLine> {
  return v.parse(EventLine, (await lines.next()).value)
}

test('requests and transfers are told as they end, without credentials, and other requests are not', async () => {
  const lines = await followed(new EventFollowers())
  publish('request.ended', requestEnded({ repository: undefined, reference: undefined }))
  publish('request.ended', requestEnded({ code: 502, error: 'reset at https://u:hunter2@m/' }))
  publish('flight.ended', flightEnded({ error: new Error('reset at https://u:hunter2@m/') }))
  const [request, transfer] = [await next(lines), await next(lines)]
  assert.ok(request.is === 'request' && transfer.is === 'transfer')
  assert.deepEqual(
    [request.code, request.repository, request.error],
    [502, 'docker.io/library/alpine', 'reset at https://***@m/'],
  )
  assert.equal(transfer.error, 'reset at https://***@m/')
  await lines.return?.()
})

test('a follower that waits is told at once, and that nothing happens after a while', async () => {
  const lines = await followed(new EventFollowers({ idleMs: 1 }))
  assert.equal((await next(lines)).is, 'idle')
  const waiting = followed(new EventFollowers({ idleMs: 1_000_000 }))
  const line = next(await waiting)
  publish('request.ended', requestEnded())
  assert.equal((await line).is, 'request')
  await (await waiting).return?.()
  await lines.return?.()
})

test('what a slow follower does not take is dropped and counted, so that memory is bounded', async () => {
  const lines = await followed(new EventFollowers({ waiting: 2 }))
  for (let n = 0; n < 5; n++) publish('request.ended', requestEnded({ code: 200 + n }))
  const got = [await next(lines), await next(lines), await next(lines)]
  assert.deepEqual(
    got.map((line) => (line.is === 'request' ? line.code : line)),
    [200, 201, { is: 'dropped', events: 3 }],
  )
  await lines.return?.()
})

test('there is a limit of followers, and one that leaves makes room', async () => {
  const followers = new EventFollowers({ followers: 1 })
  const lines = await followed(followers)
  assert.equal(followers.follow(new AbortController().signal), undefined)
  await lines.return?.()
  await (await followed(followers)).return?.()
})

test('a follower whose client leaves while nothing happens ends at once', async () => {
  const client = new AbortController()
  const followers = new EventFollowers({ followers: 1, idleMs: 1_000_000 })
  const lines = await followed(followers, client.signal)
  const end = lines.next()
  client.abort()
  assert.deepEqual(await end, { done: true, value: undefined })
  await (await followed(followers)).return?.()
})
