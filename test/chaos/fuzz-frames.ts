import fc from 'fast-check'
import { type Field, fieldBlock } from '../support/hpack.ts'
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
} from '../support/http2-frames.ts'
import { fields, type Names, targets } from './fuzz-requests.ts'

/** Frames of HTTP/2 in any order, right ones, almost right ones and any others. */
export function frameSequences(names: Names): fc.Arbitrary<Buffer[]> {
  const stream = fc.oneof(
    { weight: 6, arbitrary: fc.nat(20).map((number) => 2 * number + 1) },
    fc.constantFrom(0, 2, 0x7fffffff),
  )
  const payload = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
  const field = fc.oneof(
    { weight: 4, arbitrary: fields(names).map(([name, value]): Field => [name.toLowerCase(), value]) },
    fields(names),
    fc.constantFrom<Field>(
      [':path', '/'],
      [':status', '200'],
      [':x', 'y'],
      ['connection', 'close'],
      ['te', 'gzip'],
    ),
  )
  const request = fc
    .tuple(
      fc.oneof(
        { weight: 8, arbitrary: fc.constant('GET') },
        fc.constantFrom('HEAD', 'POST', 'CONNECT', 'get', ''),
      ),
      targets(names),
      fc.oneof({ weight: 8, arbitrary: fc.constant('http') }, fc.constantFrom('https', 'x', '')),
      fc.array(field, { maxLength: 4 }),
    )
    .map(([method, path, scheme, more]) =>
      fieldBlock([[':method', method], [':scheme', scheme], [':path', path], [':authority', 'x'], ...more]),
    )
  const block = fc.oneof({ weight: 8, arbitrary: request }, payload)
  const increment = fc.oneof(fc.nat(100_000), fc.constantFrom(0, 0x7fffffff, 0xffffffff))
  const setting = fc.dictionary(
    fc.constantFrom('1', '2', '3', '4', '5', '6', '8', '9'),
    fc.oneof(fc.nat(100_000), fc.constantFrom(0, 1, 16_384, 0x7fffffff, 0xffffffff)),
    { maxKeys: 4 },
  )
  const valid = fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .tuple(stream, block, fc.boolean(), fc.boolean())
        .map(([id, bytes, endStream, rest]) =>
          headers(id, bytes, { endStream, endHeaders: endStream || rest }),
        ),
    },
    fc.tuple(stream, payload, fc.boolean()).map(([id, bytes, endStream]) => data(id, bytes, { endStream })),
    fc.tuple(stream, fc.nat(20)).map(([id, code]) => rstStream(id, code)),
    fc.tuple(stream, increment).map(([id, bytes]) => windowUpdate(id, bytes)),
    fc
      .tuple(stream, payload, fc.boolean())
      .map(([id, bytes, endHeaders]) => continuation(id, bytes, { endHeaders })),
    fc.tuple(stream, stream, fc.nat(255)).map(([id, on, weight]) => priority(id, on, weight)),
    fc.boolean().map((ack) => ping(Buffer.alloc(8), { ack })),
    setting.map((values) => settings(values)),
    fc.tuple(stream, fc.nat(20)).map(([id, code]) => goaway(id, code)),
    fc
      .tuple(fc.nat(255), fc.nat(255), stream, payload)
      .map(([type, flags, id, bytes]) => frame(type, flags, id, bytes)),
  )
  const mutated = fc.tuple(valid, fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => {
    const changed = Buffer.from(bytes)
    changed[at % changed.length] = byte
    return changed
  })
  const any = fc.oneof({ weight: 12, arbitrary: valid }, mutated, payload)
  return fc.array(any, { minLength: 1, maxLength: 25 })
}
