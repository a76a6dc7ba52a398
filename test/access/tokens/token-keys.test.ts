import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { FetchedKeys } from '../../../src/access/tokens/token-keys.ts'
import { subscribe } from '../../../src/observe/events.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

function documentWith(kid: string): string {
  return JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid }] })
}

interface Service {
  answer: string | Error
  asked: number
  now: number
  readonly keys: FetchedKeys
}

function service(answer: string | Error): Service {
  const state = { answer, asked: 0, now: 0 }
  const fetch = (): Promise<string> => {
    state.asked += 1
    return state.answer instanceof Error ? Promise.reject(state.answer) : Promise.resolve(state.answer)
  }
  const keys = new FetchedKeys(fetch, 'https://login.test/keys', () => state.now)
  return Object.assign(state, { keys })
}

async function has(keys: FetchedKeys, kid: string): Promise<boolean> {
  return (await (await keys.current()).find({ alg: 'ES256', kid })).length === 1
}

test('keys are fetched once, by the first token that needs them', async () => {
  const state = service(documentWith('a'))
  assert.deepEqual(await Promise.all([has(state.keys, 'a'), has(state.keys, 'a')]), [true, true])
  assert.equal(state.asked, 1)
})

test('an unknown key is looked for at the service, at most once a minute', async () => {
  const state = service(documentWith('a'))
  await state.keys.current()
  state.answer = documentWith('b')
  assert.equal(await state.keys.newer(), undefined)
  assert.equal(state.asked, 1)
  state.now = 60_000
  const newer = await Promise.all([state.keys.newer(), state.keys.newer()])
  assert.ok(newer.every((set) => set !== undefined))
  assert.equal(state.asked, 2)
  assert.equal(await has(state.keys, 'b'), true)
  assert.equal(await has(state.keys, 'a'), false)
  for (let n = 0; n < 100; n += 1) await state.keys.newer()
  assert.equal(state.asked, 2)
})

test('old keys are used while new ones are fetched, and kept when the service does not answer', async (t) => {
  const problems: string[] = []
  addCleanup(
    t,
    subscribe('file.checked', ({ problem }) => problems.push(problem ?? 'good')),
  )
  const state = service(documentWith('a'))
  await state.keys.current()
  state.answer = new Error('no answer')
  state.now = 10 * 60_000
  assert.equal(await has(state.keys, 'a'), true)
  await state.keys.newer()
  assert.equal(await has(state.keys, 'a'), true)
  assert.deepEqual(problems, ['the keys of the token service cannot be fetched: no answer'])
  state.answer = documentWith('b')
  state.now += 60_000
  await state.keys.current()
  await state.keys.newer()
  assert.equal(await has(state.keys, 'b'), true)
  assert.equal(problems.at(-1), 'good')
})

test('without an answer at the start there are no keys until the service answers', async () => {
  const state = service(new Error('no answer'))
  assert.equal(await has(state.keys, 'a'), false)
  assert.equal(await has(state.keys, 'a'), false)
  assert.equal(state.asked, 1)
  state.answer = documentWith('a')
  state.now = 60_000
  assert.equal(await has(state.keys, 'a'), true)
})
