import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure, type FailureCode } from '../../../src/ports/failure.ts'
import { askInRounds } from '../../../src/upstream/limits/rounds.ts'

const { signal } = new AbortController()
const OPTIONS = { signal, backoffMs: 1 }
type Script = readonly (FailureCode | 'ok')[]

/** Each host answers its n-th request with the n-th outcome of its script, and later ones with the last. */
async function runScripts(...scripts: Script[]): Promise<{ outcome: string; asked: number[] }> {
  const asked: number[] = []
  const times = scripts.map(() => 0)
  const outcome = await askInRounds(
    scripts.map((_, i) => i),
    async (host) => {
      asked.push(host)
      const script = scripts[host] ?? []
      const scripted = script[Math.min(times[host] ?? 0, script.length - 1)] ?? 'ok'
      times[host] = (times[host] ?? 0) + 1
      if (scripted !== 'ok') throw new Failure(scripted, `host ${host}`)
      return `ok ${host}`
    },
    OPTIONS,
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
  test(`hosts that answer ${JSON.stringify(scripts)} give the outcome ${outcome}`, async () => {
    assert.deepEqual(await runScripts(...scripts), { outcome, asked })
  })
}

test('a host is not asked again when its retryAfterMs is long', async () => {
  let asked = 0
  const ask = async () => {
    asked += 1
    throw new Failure('busy', 'later', { retryAfterMs: 60_000 })
  }
  await assert.rejects(askInRounds([0], ask, OPTIONS), { code: 'busy' })
  assert.equal(asked, 1)
})

test('a host is asked again after a short retryAfterMs', async () => {
  let asked = 0
  const started = performance.now()
  const answer = await askInRounds(
    [0],
    async () => {
      asked += 1
      if (asked === 1) throw new Failure('busy', 'later', { retryAfterMs: 100 })
      return 'ok'
    },
    OPTIONS,
  )
  assert.equal(answer, 'ok')
  assert.ok(performance.now() - started > 95)
})

test('an abort ends the rounds with the reason of the signal', async () => {
  const controller = new AbortController()
  const reason = new Error('gone')
  const ask = async (): Promise<never> => {
    setImmediate(() => controller.abort(reason))
    throw new Failure('unavailable', 'no')
  }
  const options = { signal: controller.signal, backoffMs: 600_000 }
  await assert.rejects(askInRounds([0], ask, options), (error) => error === reason)
})

test('without hosts the failure is absent', async () => {
  await assert.rejects(
    askInRounds([], async () => 'ok', OPTIONS),
    { code: 'absent' },
  )
})
