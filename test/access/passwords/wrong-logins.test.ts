import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { WrongLogins } from '../../../src/access/passwords/wrong-logins.ts'
import { subscribe } from '../../../src/observe/events.ts'

const NEVER = { signal: new AbortController().signal }

async function mayTry(wrong: WrongLogins, address: string): Promise<(isRight: boolean) => void> {
  const attempt = await wrong.begin(address, NEVER)
  return attempt.kind === 'may-try' ? attempt.end : assert.fail(attempt.kind)
}

test('after five wrong logins an address waits until the first of them is a minute old', async () => {
  let now = 0
  const wrong = new WrongLogins(() => now)
  const slowed: string[] = []
  const stop = subscribe('access.slowed', ({ address }) => slowed.push(address))
  for (let n = 0; n < 5; n += 1) {
    const end = await mayTry(wrong, '10.0.0.1')
    end(false)
    now += 1000
  }
  assert.deepEqual(await wrong.begin('10.0.0.1', NEVER), { kind: 'must-wait', retryAfterMs: 55_000 })
  assert.deepEqual((await wrong.begin('::ffff:10.0.0.1', NEVER)).kind, 'must-wait')
  stop()
  assert.deepEqual(slowed, ['10.0.0.1'])
  const endOther = await mayTry(wrong, '10.0.0.2')
  endOther(true)
  now = 60_000
  const end = await mayTry(wrong, '10.0.0.1')
  end(false)
  assert.equal((await wrong.begin('10.0.0.1', NEVER)).kind, 'must-wait')
})

test('right logins are not counted', async () => {
  const wrong = new WrongLogins(() => 0)
  for (let n = 0; n < 20; n += 1) {
    const end = await mayTry(wrong, '10.0.0.1')
    end(true)
  }
})

test('right logins at the same time wait for each other, and all of them are verified', async () => {
  const wrong = new WrongLogins(() => 0)
  let underWay = 0
  let most = 0
  const logIn = async (): Promise<void> => {
    const end = await mayTry(wrong, '10.0.0.1')
    underWay += 1
    most = Math.max(most, underWay)
    await turn()
    underWay -= 1
    end(true)
  }
  await Promise.all(Array.from({ length: 50 }, logIn))
  assert.equal(most, 5)
})

test('a login that waits is refused when those under way were wrong, so that many at once guess no more', async () => {
  const wrong = new WrongLogins(() => 0)
  const ends: ((isRight: boolean) => void)[] = []
  for (let n = 0; n < 5; n += 1) ends.push(await mayTry(wrong, '2001:db8::1'))
  const waiting = wrong.begin('2001:db8::2', NEVER)
  await mayTry(wrong, '2001:db8:0:1::1')
  for (const end of ends) end(false)
  assert.equal((await waiting).kind, 'must-wait')
})

test('a login that finds no place in its time, or a long queue, has not been wrong', async () => {
  const wrong = new WrongLogins(() => 0)
  const ends: ((isRight: boolean) => void)[] = []
  for (let n = 0; n < 5; n += 1) ends.push(await mayTry(wrong, '10.0.0.1'))
  const impatient = new AbortController()
  const given = wrong.begin('10.0.0.1', impatient)
  const queue = Array.from({ length: 63 }, () => wrong.begin('10.0.0.1', NEVER))
  assert.deepEqual(await wrong.begin('10.0.0.1', NEVER), { kind: 'no-place' })
  impatient.abort()
  assert.deepEqual(await given, { kind: 'no-place' })
  for (const end of ends) end(true)
  for (const each of queue) {
    const attempt = await each
    if (attempt.kind === 'may-try') attempt.end(true)
    else assert.fail(attempt.kind)
  }
})
