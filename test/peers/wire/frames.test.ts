import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  BadFrame,
  BYTES_LIMIT,
  type Frame,
  FrameReader,
  HEAD_BYTES,
  MESSAGE_LIMIT,
  messageFrame,
  overFrame,
  putBytesHead,
} from '../../../src/peers/wire/frames.ts'

function head(length: number, kind: number): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES)
  bytes.writeUInt32BE(length, 0)
  bytes[4] = kind
  return bytes
}

function bytesHead(length: number): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES)
  putBytesHead(bytes, length)
  return bytes
}

/** Reads frames out of bytes that come in pieces of these sizes; content itself is passed over. */
function readAll(bytes: Buffer, sizes: readonly number[]): Frame[] {
  const reader = new FrameReader()
  const frames: Frame[] = []
  let skip = 0
  let rest = bytes
  for (let n = 0; rest.length > 0; n += 1) {
    let piece = rest.subarray(0, sizes[n % sizes.length])
    rest = rest.subarray(piece.length)
    while (piece.length > 0) {
      const passed = Math.min(skip, piece.length)
      skip -= passed
      piece = piece.subarray(passed)
      const { used, frame } = reader.take(piece)
      piece = piece.subarray(used)
      if (frame === undefined) continue
      frames.push(frame)
      if (frame.is === 'bytes') skip = frame.length
    }
  }
  return frames
}

test('frames are the same in whatever pieces they come', () => {
  const one = fc.oneof(
    fc.record({ text: fc.string() }).map((message) => ({
      wire: messageFrame(message),
      frame: {
        is: 'message' as const,
        message: JSON.parse(JSON.stringify(message)) as unknown,
        length: Buffer.byteLength(JSON.stringify(message)),
      },
    })),
    fc.integer({ min: 1, max: 100 }).map((length) => ({
      wire: Buffer.concat([bytesHead(length), Buffer.alloc(length, 7)]),
      frame: { is: 'bytes' as const, length },
    })),
    fc.constant({ wire: overFrame(), frame: { is: 'over' as const } }),
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
  const longest = { text: 'x'.repeat(MESSAGE_LIMIT - '{"text":""}'.length) }
  assert.deepEqual(readAll(messageFrame(longest), [1000]), [
    { is: 'message', message: longest, length: MESSAGE_LIMIT },
  ])
  assert.throws(() => messageFrame({ text: `${longest.text}x` }), RangeError)
  assert.throws(() => new FrameReader().take(head(MESSAGE_LIMIT + 1, 0)), BadFrame)
})

for (const [what, bytes] of [
  ['an unknown kind', head(1, 3)],
  ['bytes beyond the limit', head(BYTES_LIMIT + 1, 1)],
  ['bytes of which there are none', head(0, 1)],
  ['the largest length there is', head(0xffff_ffff, 0)],
  ['an end with something in it', head(1, 2)],
  ['a message of nothing', Buffer.concat([head(0, 0), head(0, 2)])],
  ['a message that is not JSON', Buffer.concat([head(3, 0), Buffer.from('{"a')])],
  ['a message that is not UTF-8', Buffer.concat([head(3, 0), Buffer.from([0x22, 0xff, 0x22])])],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(() => new FrameReader().take(bytes), BadFrame)
  })
}
