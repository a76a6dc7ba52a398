import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  InvalidLine,
  MAX_MESSAGE_BYTES,
  MessageLines,
  messageLine,
} from '../../../../src/peers/wire/control/message-lines.ts'
import { fc } from '../../../../testkit/property-runs.ts'

test('messages are complete, whatever the sizes of reads', () => {
  const messages = fc.array(fc.dictionary(fc.string(), fc.string()), { maxLength: 20 })
  const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 })
  fc.assert(
    fc.property(messages, sizes, (sent, reads) => {
      const wire = Buffer.concat(sent.map(messageLine))
      const lines = new MessageLines()
      const received: unknown[] = []
      for (let at = 0, n = 0; at < wire.length; n += 1) {
        const end = at + (reads[n % reads.length] ?? 1)
        received.push(...lines.take(wire.subarray(at, end)).map(({ message }) => message))
        at = end
      }
      assert.deepEqual(received, JSON.parse(JSON.stringify(sent)))
    }),
  )
})

test('random bytes give JSON values or InvalidLine, and are never stored without a bound', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (reads) => {
      const lines = new MessageLines()
      try {
        for (const read of reads) lines.take(Buffer.from(read))
      } catch (error) {
        assert.ok(error instanceof InvalidLine)
      }
    }),
  )
  const endless = new MessageLines()
  endless.take(Buffer.alloc(MAX_MESSAGE_BYTES, 0x20))
  assert.throws(() => endless.take(Buffer.from(' ')), InvalidLine)
})

for (const [what, text] of [
  ['an empty line', '\n'],
  ['no JSON', '{\n'],
  ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22, 0x0a])],
] as const) {
  test(`${what} is refused`, () => {
    assert.throws(() => new MessageLines().take(Buffer.from(text)), InvalidLine)
  })
}

test('a message that is too long is not written', () => {
  assert.throws(() => messageLine({ text: 'x'.repeat(MAX_MESSAGE_BYTES) }), RangeError)
})
