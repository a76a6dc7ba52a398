import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ANSWER_MS, type Answer, RegistryLimits } from '../../../src/access/pullers/registry-limits.ts'
import { unlessAborted } from '../../../src/lib/async/abort.ts'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { DEFAULT_DEADLINES } from '../../../src/upstream/options/options.ts'

const NEVER = new AbortController().signal
const LOCAL = { address: '127.0.0.1', hasLogin: false, signal: NEVER }
const AWAY = new Failure('unavailable', 'no answer')

/** Asks so many questions that stay without an answer that no other of the address is pending. */
function fill(limits: RegistryLimits, answer: Promise<void>): Promise<Answer>[] {
  return Array.from({ length: 64 }, () => limits.admit(LOCAL, () => limits.ask(NEVER, () => answer)))
}

test('a registry may take longer to answer than a connection and a header may take', () => {
  assert.ok(ANSWER_MS > DEFAULT_DEADLINES.connectMs + DEFAULT_DEADLINES.headerMs)
})

test('a question that finds no slot at a registry without answers is unknown, at any other one it is not asked', async () => {
  let now = 0
  const limits = new RegistryLimits(() => now)
  const answer = new Deferred<void>()
  const one = (send: () => Promise<void>) => limits.admit(LOCAL, () => limits.ask(NEVER, send))
  assert.equal(await one(() => Promise.reject(AWAY)), 'unknown')
  const pending = fill(limits, answer.promise)
  assert.equal(await one(() => Promise.resolve()), 'unknown')
  now = 60_000
  assert.equal(await one(() => Promise.resolve()), 'not-asked', 'the silence was a minute ago')
  answer.resolve()
  assert.deepEqual(new Set(await Promise.all(pending)), new Set(['confirmed']))
})

for (const failure of [undefined, new Failure('denied', 'no'), new Failure('absent', 'none')]) {
  test(`a registry that answers again, here with ${failure?.code ?? 'yes'}, is not without answers`, async () => {
    const limits = new RegistryLimits(() => 0)
    const answer = new Deferred<void>()
    await limits.ask(NEVER, () => Promise.reject(AWAY))
    assert.equal(
      await limits.ask(NEVER, () => (failure === undefined ? Promise.resolve() : Promise.reject(failure))),
      failure?.code ?? 'confirmed',
    )
    const pending = fill(limits, answer.promise)
    assert.equal(await limits.admit(LOCAL, async () => 'confirmed'), 'not-asked')
    answer.resolve()
    await Promise.all(pending)
  })
}

test('a question whose client waits no longer is not asked, and says nothing about the registry', async () => {
  const limits = new RegistryLimits(() => 0)
  const answer = new Deferred<void>()
  const client = new AbortController()
  const cutOff = limits.ask(client.signal, (signal) => unlessAborted(answer.promise, signal))
  const others = Array.from({ length: 7 }, () => limits.ask(NEVER, () => answer.promise))
  const waiting = limits.ask(client.signal, () => answer.promise)
  await turn()
  client.abort()
  assert.deepEqual(await Promise.all([cutOff, waiting]), ['not-asked', 'not-asked'])
  answer.resolve()
  await Promise.all(others)
})

test('a question that fails while it waits for a limit of this agent is not asked, and says nothing about the registry', async () => {
  const limits = new RegistryLimits(() => 0)
  const answer = new Deferred<void>()
  const failed = limits.ask(NEVER, async (_, onPace) => {
    onPace('waits')
    throw new Failure('busy', 'maxRequestsPerSecond')
  })
  assert.equal(await failed, 'not-asked')
  const pending = fill(limits, answer.promise)
  assert.equal(await limits.admit(LOCAL, async () => 'confirmed'), 'not-asked', 'the registry was not silent')
  answer.resolve()
  await Promise.all(pending)
})

test('the time of a registry begins when the question may be sent', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const limits = new RegistryLimits(() => 0)
  const [paced, answer] = [new Deferred<void>(), new Deferred<void>()]
  let given: AbortSignal | undefined
  const asked = limits.ask(NEVER, async (signal, onPace) => {
    given = signal
    onPace('waits')
    await paced.promise
    onPace('begins')
    await unlessAborted(answer.promise, signal)
  })
  t.mock.timers.tick(ANSWER_MS)
  paced.resolve()
  await turn()
  t.mock.timers.tick(ANSWER_MS - 1)
  assert.equal(given?.aborted, false)
  t.mock.timers.tick(1)
  assert.equal(await asked, 'unknown')
})

test('rightful logins at the same time are all asked for, and only those that were wrong count', async () => {
  const limits = new RegistryLimits(() => 0)
  const withLogin = { ...LOCAL, hasLogin: true }
  const ask = (send: () => Promise<void>) => limits.admit(withLogin, () => limits.ask(NEVER, send))
  const answers = await Promise.all(Array.from({ length: 64 }, () => ask(() => Promise.resolve())))
  assert.deepEqual(new Set(answers), new Set(['confirmed']))
  const no = () => Promise.reject(new Failure('denied', 'no'))
  for (let n = 0; n < 30; n += 1) assert.equal(await ask(no), 'denied')
  assert.equal(await ask(() => Promise.resolve()), 'not-asked')
  assert.equal(await limits.admit(LOCAL, () => limits.ask(NEVER, () => Promise.resolve())), 'confirmed')
})
