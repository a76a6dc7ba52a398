import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { Circuit } from '../../../src/upstream/limits/circuit.ts'

function make() {
  const clock = { now: 0 }
  const changes: boolean[] = []
  const circuit = new Circuit({
    host: 'r.example',
    onChange: (open) => changes.push(open),
    now: () => clock.now,
    random: () => 0,
  })
  const fail = (): Promise<unknown> =>
    circuit
      .run(
        () => Promise.reject(new Failure('unavailable', 'no connection')),
        () => undefined,
      )
      .catch((error: Failure) => error.code)
  const succeed = (): Promise<unknown> =>
    circuit
      .run(
        () => Promise.resolve('answer'),
        () => undefined,
      )
      .catch((error: Failure) => error.code)
  return { clock, changes, circuit, fail, succeed }
}

test('five failures in a row open it, and requests fail at once from then on', async () => {
  const { circuit, changes, fail, succeed } = make()
  for (let i = 0; i < 5; i += 1) assert.equal(await fail(), 'unavailable')
  assert.deepEqual(changes, [true])
  assert.equal(circuit.state.state, 'open')
  assert.equal(await succeed(), 'busy')
})

test('a success in between starts the count anew', async () => {
  const { circuit, fail, succeed } = make()
  for (let i = 0; i < 4; i += 1) await fail()
  await succeed()
  for (let i = 0; i < 4; i += 1) await fail()
  assert.equal(circuit.state.state, 'closed')
})

test('a result that is judged wrong counts like a failure', async () => {
  const { circuit } = make()
  for (let i = 0; i < 5; i += 1) {
    assert.equal(
      await circuit.run(
        () => Promise.resolve(503),
        (status) => `it answered ${status}`,
      ),
      503,
    )
  }
  assert.equal(circuit.state.state === 'open' && circuit.state.reason, 'it answered 503')
})

test('other failures tell nothing about the host', async () => {
  const { circuit } = make()
  for (let i = 0; i < 9; i += 1) {
    await assert.rejects(
      circuit.run(
        () => Promise.reject(new Failure('absent', 'no such tag')),
        () => undefined,
      ),
    )
  }
  assert.equal(circuit.state.state, 'closed')
})

test('after its rest one request is let through, and its success closes it', async () => {
  const { circuit, clock, changes, fail, succeed } = make()
  for (let i = 0; i < 5; i += 1) await fail()
  clock.now = 5000
  assert.equal(circuit.state.state, 'half-open')
  let finish = (_: string): void => {}
  const probe = circuit.run(
    () => new Promise<string>((resolve) => (finish = resolve)),
    () => undefined,
  )
  assert.equal(await succeed(), 'busy', 'a second one is not let through meanwhile')
  finish('answer')
  assert.equal(await probe, 'answer')
  assert.equal(await succeed(), 'answer')
  assert.deepEqual(changes, [true, false])
})

test('a probe whose client leaves makes room for the next', async () => {
  const { circuit, clock, fail, succeed } = make()
  for (let i = 0; i < 5; i += 1) await fail()
  clock.now = 5000
  await assert.rejects(
    circuit.run(
      () => Promise.reject(new DOMException('left', 'AbortError')),
      () => undefined,
    ),
  )
  assert.equal(await succeed(), 'answer')
})

test('what was under way when it opened does not make its rest longer', async () => {
  const { circuit, fail } = make()
  let finish = (_: Failure): void => {}
  const late = circuit.run(
    () => new Promise<never>((_, reject) => (finish = reject)),
    () => undefined,
  )
  for (let i = 0; i < 5; i += 1) await fail()
  const before = circuit.state
  finish(new Failure('unavailable', 'too late'))
  await assert.rejects(late)
  assert.deepEqual(circuit.state, before)
})

test('rests grow up to half a minute', async () => {
  const { circuit, clock, fail } = make()
  for (let i = 0; i < 5; i += 1) await fail()
  const rests: number[] = []
  for (let i = 0; i < 5; i += 1) {
    const { state } = circuit
    const rest = state.state === 'closed' ? 0 : state.retryAfterMs
    rests.push(rest)
    clock.now += rest
    assert.equal(await fail(), 'unavailable')
  }
  assert.deepEqual(rests, [5000, 10_000, 20_000, 30_000, 30_000])
})
