import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { Circuit } from '../../../src/upstream/limits/circuit.ts'

function createCircuit() {
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

test('five failures in a row open the circuit, and requests then fail at once', async () => {
  const { circuit, changes, fail, succeed } = createCircuit()
  for (let i = 0; i < 5; i += 1) assert.equal(await fail(), 'unavailable')
  assert.deepEqual(changes, [true])
  assert.equal(circuit.state.state, 'open')
  assert.equal(await succeed(), 'busy')
})

test('a success in between resets the count of failures', async () => {
  const { circuit, fail, succeed } = createCircuit()
  for (let i = 0; i < 4; i += 1) await fail()
  await succeed()
  for (let i = 0; i < 4; i += 1) await fail()
  assert.equal(circuit.state.state, 'closed')
})

test('a result that is judged a failure counts as one', async () => {
  const { circuit } = createCircuit()
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

test('failures with other codes do not count', async () => {
  const { circuit } = createCircuit()
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

test('after the pause one request is sent, and its success closes the circuit', async () => {
  const { circuit, clock, changes, fail, succeed } = createCircuit()
  for (let i = 0; i < 5; i += 1) await fail()
  clock.now = 5000
  assert.equal(circuit.state.state, 'half-open')
  let finish = (_: string): void => {}
  const probe = circuit.run(
    () => new Promise<string>((resolve) => (finish = resolve)),
    () => undefined,
  )
  assert.equal(await succeed(), 'busy', 'a second request is not sent meanwhile')
  finish('answer')
  assert.equal(await probe, 'answer')
  assert.equal(await succeed(), 'answer')
  assert.deepEqual(changes, [true, false])
})

test('a probe that is aborted makes room for the next one', async () => {
  const { circuit, clock, fail, succeed } = createCircuit()
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

test('a failure of a request that began before the circuit opened does not prolong the pause', async () => {
  const { circuit, fail } = createCircuit()
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

test('the pauses grow up to half a minute', async () => {
  const { circuit, clock, fail } = createCircuit()
  for (let i = 0; i < 5; i += 1) await fail()
  const pauses: number[] = []
  for (let i = 0; i < 5; i += 1) {
    const { state } = circuit
    const pauseMs = state.state === 'closed' ? 0 : state.retryAfterMs
    pauses.push(pauseMs)
    clock.now += pauseMs
    assert.equal(await fail(), 'unavailable')
  }
  assert.deepEqual(pauses, [5000, 10_000, 20_000, 30_000, 30_000])
})
