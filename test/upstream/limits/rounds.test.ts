import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure, type FailureCode } from '../../../src/ports/failure.ts'
import { askInRounds } from '../../../src/upstream/limits/rounds.ts'

const { signal } = new AbortController()
const WITHIN = { signal, backoffMs: 1 }
type Script = readonly (FailureCode | 'ok')[]

/** Each host answers its n-th question with the n-th word of its script; the last one from then on. */
async function play(...scripts: Script[]): Promise<{ outcome: string; asked: number[] }> {
  const asked: number[] = []
  const times = scripts.map(() => 0)
  const outcome = await askInRounds(
    scripts.map((_, i) => i),
    async (host) => {
      asked.push(host)
      const script = scripts[host] ?? []
      const word = script[Math.min(times[host] ?? 0, script.length - 1)] ?? 'ok'
      times[host] = (times[host] ?? 0) + 1
      if (word !== 'ok') throw new Failure(word, `host ${host}`)
      return `ok ${host}`
    },
    WITHIN,
  ).catch((error: Failure) => `${error.code} ${error.message}`)
  return { outcome, asked }
}

const TABLE: readonly [Script[], string, number[]][] = [
  [[['ok'], ['ok']], 'ok 0', [0]],
  [[['absent'], ['ok']], 'ok 1', [0, 1]],
  [[['denied'], ['ok']], 'ok 1', [0, 1]],
  [[['unavailable'], ['ok']], 'ok 1', [0, 1]],
  [[['absent']], 'absent host 0', [0]],
  [[['denied']], 'denied host 0', [0]],
  [[['unavailable', 'ok']], 'ok 0', [0, 0]],
  [[['unavailable']], 'unavailable host 0', [0, 0, 0]],
  [[['absent'], ['denied']], 'denied host 1', [0, 1]],
  [[['absent'], ['unavailable']], 'unavailable host 1', [0, 1, 0, 1, 0, 1]],
  [[['unavailable'], ['absent']], 'unavailable host 0', [0, 1, 0, 1, 0, 1]],
  [[['unsupported']], 'unsupported host 0', [0]],
  [[['busy']], 'busy host 0', [0]],
]

for (const [scripts, outcome, asked] of TABLE) {
  test(`hosts that say ${JSON.stringify(scripts)} together say ${outcome}`, async () => {
    assert.deepEqual(await play(...scripts), { outcome, asked })
  })
}

test('a host that asks for a long rest is not waited for', async () => {
  let asked = 0
  const ask = async () => {
    asked += 1
    throw new Failure('busy', 'later', { retryAfterMs: 60_000 })
  }
  await assert.rejects(askInRounds([0], ask, WITHIN), { code: 'busy' })
  assert.equal(asked, 1)
})

test('a host that asks for a short rest gets it', async () => {
  let asked = 0
  const started = performance.now()
  const answer = await askInRounds(
    [0],
    async () => {
      asked += 1
      if (asked === 1) throw new Failure('busy', 'later', { retryAfterMs: 100 })
      return 'ok'
    },
    WITHIN,
  )
  assert.equal(answer, 'ok')
  assert.ok(performance.now() - started > 95)
})

test('whoever leaves ends the rounds with his own reason', async () => {
  const controller = new AbortController()
  const reason = new Error('gone')
  const ask = async (): Promise<never> => {
    setImmediate(() => controller.abort(reason))
    throw new Failure('unavailable', 'no')
  }
  const within = { signal: controller.signal, backoffMs: 600_000 }
  await assert.rejects(askInRounds([0], ask, within), (error) => error === reason)
})

test('nobody to ask means that nobody has it', async () => {
  await assert.rejects(
    askInRounds([], async () => 'ok', WITHIN),
    { code: 'absent' },
  )
})
