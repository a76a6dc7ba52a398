import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { mergeStreams } from '../../src/warm/merge-streams.ts'

const never = new AbortController().signal

async function* untilAborted(signal: AbortSignal): AsyncGenerator<string> {
  if (!signal.aborted) await once(signal, 'abort')
  yield 'dropped'
}

describe('merged streams', () => {
  it('yield all items, those of one stream in their order', async () => {
    const streams = [1, 2, 3].map(
      (stream) =>
        async function* () {
          for (let number = 0; number < 5; number += 1) yield `${stream}:${number}`
        },
    )
    const items: string[] = []
    for await (const item of mergeStreams(streams, 2, { signal: never })) items.push(item)
    assert.equal(items.length, 15)
    for (const stream of ['1', '2', '3']) {
      const own = items.filter((item) => item.startsWith(stream))
      assert.deepEqual(own, [...own].sort())
    }
  })

  it('wait until their last item is consumed', async () => {
    let produced = 0
    const streams = [1, 2].map(
      () =>
        async function* () {
          for (;;) {
            produced += 1
            yield produced
          }
        },
    )
    const items = mergeStreams(streams, 2, { signal: never })
    await items.next()
    for (let count = 0; count < 20; count += 1) await turn()
    assert.ok(produced <= 3, `${produced} items were produced`)
    await items.return(undefined)
  })

  it('are open at most as many at once as allowed', async () => {
    let open = 0
    let maxOpen = 0
    const streams = Array.from(
      { length: 7 },
      (_, number) =>
        async function* () {
          open += 1
          maxOpen = Math.max(maxOpen, open)
          await turn()
          yield number
          open -= 1
        },
    )
    const items: number[] = []
    for await (const item of mergeStreams(streams, 3, { signal: never })) items.push(item)
    assert.deepEqual(
      items.sort((one, two) => one - two),
      [0, 1, 2, 3, 4, 5, 6],
    )
    assert.equal(maxOpen, 3)
  })

  it('all end at the first error of one of them', async () => {
    const ended: string[] = []
    async function* waiting(signal: AbortSignal): AsyncGenerator<string> {
      try {
        yield* untilAborted(signal)
      } finally {
        ended.push('waiting')
      }
    }
    async function* failing(): AsyncGenerator<string> {
      yield 'something'
      throw new Error('no more')
    }
    const items = mergeStreams([waiting, failing], 2, { signal: never })
    assert.deepEqual(await items.next(), { done: false, value: 'something' })
    await assert.rejects(items.next(), /no more/)
    assert.deepEqual(ended, ['waiting'])
  })

  it('all end when the consumer leaves', async () => {
    const ended: string[] = []
    async function* producing(): AsyncGenerator<string> {
      try {
        for (;;) yield 'something'
      } finally {
        ended.push('producing')
      }
    }
    for await (const item of mergeStreams([untilAborted, producing], 2, { signal: never })) {
      assert.equal(item, 'something')
      break
    }
    assert.deepEqual(ended, ['producing'])
  })
})
