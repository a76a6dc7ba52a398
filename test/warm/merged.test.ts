import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { merged } from '../../src/warm/merged.ts'

const never = new AbortController().signal

async function* until(signal: AbortSignal): AsyncGenerator<string> {
  if (!signal.aborted) await once(signal, 'abort')
  yield 'nobody takes this'
}

describe('what several give at once', () => {
  it('all comes, and what one gives comes in its order', async () => {
    const givers = [1, 2, 3].map(
      (giver) =>
        async function* () {
          for (let number = 0; number < 5; number += 1) yield `${giver}:${number}`
        },
    )
    const taken: string[] = []
    for await (const item of merged(givers, 2, { signal: never })) taken.push(item)
    assert.equal(taken.length, 15)
    for (const giver of ['1', '2', '3']) {
      const own = taken.filter((item) => item.startsWith(giver))
      assert.deepEqual(own, [...own].sort())
    }
  })

  it('nobody runs ahead of whoever takes it', async () => {
    let given = 0
    const givers = [1, 2].map(
      () =>
        async function* () {
          for (;;) {
            given += 1
            yield given
          }
        },
    )
    const items = merged(givers, 2, { signal: never })
    await items.next()
    for (let count = 0; count < 20; count += 1) await turn()
    assert.ok(given <= 3, `${given} were given`)
    await items.return(undefined)
  })

  it('no more of them give at once than may', async () => {
    let under = 0
    let most = 0
    const givers = Array.from(
      { length: 7 },
      (_, number) =>
        async function* () {
          under += 1
          most = Math.max(most, under)
          await turn()
          yield number
          under -= 1
        },
    )
    const taken: number[] = []
    for await (const item of merged(givers, 3, { signal: never })) taken.push(item)
    assert.deepEqual(
      taken.sort((one, two) => one - two),
      [0, 1, 2, 3, 4, 5, 6],
    )
    assert.equal(most, 3)
  })

  it('the first that fails ends it, and the others', async () => {
    const ended: string[] = []
    async function* waiting(signal: AbortSignal): AsyncGenerator<string> {
      try {
        yield* until(signal)
      } finally {
        ended.push('waiting')
      }
    }
    async function* failing(): AsyncGenerator<string> {
      yield 'something'
      throw new Error('no more')
    }
    const items = merged([waiting, failing], 2, { signal: never })
    assert.deepEqual(await items.next(), { done: false, value: 'something' })
    await assert.rejects(items.next(), /no more/)
    assert.deepEqual(ended, ['waiting'])
  })

  it('when whoever takes it leaves, nobody gives any more', async () => {
    const ended: string[] = []
    async function* giving(): AsyncGenerator<string> {
      try {
        for (;;) yield 'something'
      } finally {
        ended.push('giving')
      }
    }
    for await (const item of merged([until, giving], 2, { signal: never })) {
      assert.equal(item, 'something')
      break
    }
    assert.deepEqual(ended, ['giving'])
  })
})
