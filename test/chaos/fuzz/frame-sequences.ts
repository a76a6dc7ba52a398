import { fc } from '../../../testkit/property-runs.ts'
import { type Field, fieldBlock } from '../../../testkit/raw-http/hpack.ts'
import {
  continuation,
  data,
  frame,
  goaway,
  headers,
  ping,
  priority,
  rstStream,
  settings,
  windowUpdate,
} from '../../../testkit/raw-http/http2-frames.ts'
import { fields, type Names, targets } from './request-texts.ts'

/** Makes a frame. `fresh` is the number of a stream that is not used yet, and `known` that of a used one. */
type FrameMaker = (streams: { fresh(): number; known: number }) => Buffer

/** Frames of HTTP/2 in any order: most are valid, some are nearly valid, and some are random. */
export function frameSequences(names: Names): fc.Arbitrary<Buffer[]> {
  const payload = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
  const valid = fc.oneof(
    { weight: 10, arbitrary: requests(names) },
    {
      weight: 2,
      arbitrary: fc.nat(20).map(
        (code): FrameMaker =>
          ({ known }) =>
            rstStream(known, code),
      ),
    },
    {
      weight: 3,
      arbitrary: fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 100_000 })).map(
        ([all, bytes]): FrameMaker =>
          ({ known }) =>
            windowUpdate(all ? 0 : known, bytes),
      ),
    },
    fc.tuple(fc.nat(50), fc.nat(255)).map(
      ([on, weight]): FrameMaker =>
        ({ known }) =>
          priority(known, on * 2, weight),
    ),
    fc.boolean().map(
      (ack): FrameMaker =>
        () =>
          ping(Buffer.alloc(8), { ack }),
    ),
    fc.dictionary(fc.constantFrom('3', '4', '6', '9'), fc.nat(100_000), { maxKeys: 3 }).map(
      (values): FrameMaker =>
        () =>
          settings(values),
    ),
    fc.tuple(fc.integer({ min: 10, max: 255 }), fc.nat(255), payload).map(
      ([type, flags, bytes]): FrameMaker =>
        ({ known }) =>
          frame(type, flags, known, bytes),
    ),
  )
  const maker = fc.oneof({ weight: 40, arbitrary: valid }, invalidFrames(payload))
  const mutation = fc.oneof({ weight: 60, arbitrary: fc.constant(null) }, fc.tuple(fc.nat(), fc.nat(255)))
  const step = fc.tuple(maker, fc.nat(), mutation)
  // The first frame opens a stream, because frames of unopened streams only end the connection.
  const first = fc.tuple(requests(names), fc.constant(0), fc.constant(null))
  return fc.tuple(first, fc.array(step, { maxLength: 25 })).map(([opening, rest]) => {
    let next = 1
    const fresh = (): number => {
      next += 2
      return next - 2
    }
    return [opening, ...rest].map(([make, which, change]) => {
      const bytes = make({ fresh, known: 1 + 2 * (which % Math.max(1, (next - 1) / 2)) })
      if (change !== null) bytes[change[0] % bytes.length] = change[1]
      return bytes
    })
  })
}

function requests(names: Names): fc.Arbitrary<FrameMaker> {
  const field = fc.oneof(
    { weight: 12, arbitrary: fields(names).map(([name, value]): Field => [name.toLowerCase(), value]) },
    fields(names),
    fc.constantFrom<Field>(
      [':path', '/'],
      [':status', '200'],
      [':x', 'y'],
      ['connection', 'close'],
      ['te', 'gzip'],
    ),
  )
  const method = fc.oneof(
    { weight: 8, arbitrary: fc.constant('GET') },
    { weight: 2, arbitrary: fc.constant('HEAD') },
    fc.constantFrom('POST', 'CONNECT', 'get', ''),
  )
  const scheme = fc.oneof({ weight: 8, arbitrary: fc.constant('http') }, fc.constantFrom('https', 'x', ''))
  const block = fc
    .tuple(method, targets(names), scheme, fc.array(field, { maxLength: 3 }))
    .map(([verb, path, spoken, more]) =>
      fieldBlock([[':method', verb], [':scheme', spoken], [':path', path], [':authority', 'x'], ...more]),
    )
  return fc.tuple(block, fc.nat(3)).map(
    ([bytes, how]): FrameMaker =>
      ({ fresh }) => {
        const stream = fresh()
        // The headers are in two frames, or in one with or without a body.
        if (how === 0) {
          const half = bytes.length >> 1
          return Buffer.concat([
            headers(stream, bytes.subarray(0, half), { endHeaders: false }),
            continuation(stream, bytes.subarray(half), { endHeaders: true }),
          ])
        }
        if (how === 1) {
          const body = data(stream, Buffer.alloc(20), { endStream: true })
          return Buffer.concat([headers(stream, bytes, { endStream: false }), body])
        }
        return headers(stream, bytes)
      },
  )
}

function invalidFrames(payload: fc.Arbitrary<Buffer>): fc.Arbitrary<FrameMaker> {
  return fc.oneof(
    payload.map(
      (bytes): FrameMaker =>
        ({ fresh }) =>
          headers(fresh(), bytes),
    ),
    payload.map(
      (bytes): FrameMaker =>
        ({ known }) =>
          headers(known, bytes, { endStream: false, endHeaders: false }),
    ),
    payload.map(
      (bytes): FrameMaker =>
        ({ known }) =>
          data(known, bytes, { endStream: false }),
    ),
    payload.map(
      (bytes): FrameMaker =>
        ({ known }) =>
          continuation(known, bytes, { endHeaders: false }),
    ),
    fc.constantFrom(0, 0x7fffffff, 0xffffffff).map(
      (bytes): FrameMaker =>
        ({ known }) =>
          windowUpdate(known, bytes),
    ),
    fc.nat(20).map(
      (code): FrameMaker =>
        ({ known }) =>
          goaway(known, code),
    ),
    fc.constantFrom(0, 2, 0x7fffffff).map(
      (stream): FrameMaker =>
        () =>
          rstStream(stream),
    ),
    fc.constantFrom('2', '4', '5').map(
      (id): FrameMaker =>
        () =>
          settings({ [id]: 0xffffffff }),
    ),
    fc.tuple(fc.nat(255), fc.nat(255), payload).map(
      ([type, flags, bytes]): FrameMaker =>
        ({ known }) =>
          frame(type, flags, known, bytes),
    ),
    payload.map(
      (bytes): FrameMaker =>
        () =>
          Buffer.concat([Buffer.from([0]), bytes]),
    ),
  )
}
