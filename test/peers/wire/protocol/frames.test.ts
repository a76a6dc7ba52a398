import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  endFrame,
  FRAME_HEAD_BYTES,
  type Frame,
  FrameReader,
  InvalidFrame,
  MAX_CONTENT_FRAME_BYTES,
  MAX_MESSAGE_BYTES,
  messageFrame,
  writeContentHead,
} from '../../../../src/peers/wire/protocol/frames.ts'

function head(length: number, kind: number): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES)
  bytes.writeUInt32BE(length, 0)
  bytes[4] = kind
  return bytes
}

function contentHead(length: number): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES)
  writeContentHead(bytes, length)
  return bytes
}

/** Reads frames from bytes that arrive in chunks of these sizes. Skips the content itself. */
function readAll(bytes: Buffer, sizes: readonly number[]): Frame[] {
  const reader = new FrameReader()
  const frames: Frame[] = []
  let skip = 0
  let rest = bytes
  for (let n = 0; rest.length > 0; n += 1) {
    let chunk = rest.subarray(0, sizes[n % sizes.length])
    rest = rest.subarray(chunk.length)
    while (chunk.length > 0) {
      const skipped = Math.min(skip, chunk.length)
      skip -= skipped
      chunk = chunk.subarray(skipped)
      const { used, frame } = reader.take(chunk)
      chunk = chunk.subarray(used)
      if (frame === undefined) continue
      frames.push(frame)
      if (frame.kind === 'content') skip = frame.length
    }
  }
  return frames
}

test('frames are the same in whatever chunks they arrive', () => {
  const one = fc.oneof(
    fc.record({ text: fc.string() }).map((message) => ({
      wire: messageFrame(message),
      frame: {
        kind: 'message' as const,
        message: JSON.parse(JSON.stringify(message)) as unknown,
        length: Buffer.byteLength(JSON.stringify(message)),
      },
    })),
    fc.integer({ min: 1, max: 100 }).map((length) => ({
      wire: Buffer.concat([contentHead(length), Buffer.alloc(length, 7)]),
      frame: { kind: 'content' as const, length },
    })),
    fc.constant({ wire: endFrame(), frame: { kind: 'end' as const } }),
  )
  const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 })
  fc.assert(
    fc.property(fc.array(one), sizes, (all, cuts) => {
      const found = readAll(Buffer.concat(all.map(({ wire }) => wire)), cuts)
      assert.deepEqual(
        found,
        all.map(({ frame }) => frame),
      )
    }),
  )
})

test('a message may be as long as the limit and no longer', () => {
  const longest = { text: 'x'.repeat(MAX_MESSAGE_BYTES - '{"text":""}'.length) }
  assert.deepEqual(readAll(messageFrame(longest), [1000]), [
    { kind: 'message', message: longest, length: MAX_MESSAGE_BYTES },
  ])
  assert.throws(() => messageFrame({ text: `${longest.text}x` }), RangeError)
  assert.throws(() => new FrameReader().take(head(MAX_MESSAGE_BYTES + 1, 0)), InvalidFrame)
})

for (const [what, bytes] of [
  ['an unknown kind', head(1, 3)],
  ['a content frame beyond the limit', head(MAX_CONTENT_FRAME_BYTES + 1, 1)],
  ['an empty content frame', head(0, 1)],
  ['a message of the largest length', head(0xffff_ffff, 0)],
  ['an end frame that is not empty', head(1, 2)],
  ['an empty message', Buffer.concat([head(0, 0), head(0, 2)])],
  ['a message that is not JSON', Buffer.concat([head(3, 0), Buffer.from('{"a')])],
  ['a message that is not UTF-8', Buffer.concat([head(3, 0), Buffer.from([0x22, 0xff, 0x22])])],
] as const) {
  test(`${what} is an invalid frame`, () => {
    assert.throws(() => new FrameReader().take(bytes), InvalidFrame)
  })
}
