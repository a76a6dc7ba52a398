import { fc } from '../../../testkit/property-runs.ts'

/** Random requests: most are like those of clients, many are nearly valid, and some are random bytes. */

export interface Names {
  readonly blob: string
  readonly manifest: string
  /** Digests that the server has. */
  readonly digests: readonly string[]
}

const bytes = (most: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength: most }).map((array) => Buffer.from(array).toString('latin1'))

const encoded = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '/',
        '//',
        '.',
        '..',
        '%2f',
        '%2F',
        '%00',
        '%',
        '%zz',
        '%25',
        '?',
        '&',
        '#',
        ';',
        ' ',
        '%c3%28',
      ),
      fc.string({ maxLength: 8 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''))

const query = fc.oneof(
  { weight: 4, arbitrary: fc.constant('') },
  fc.constantFrom(
    '?ns=docker.io',
    '?ns=',
    '?ns=other.test',
    '?ns=a&ns=b',
    '?n=1&last=x',
    '?n=-1',
    '?n=99999999999',
  ),
  encoded.map((text) => `?${text}`),
)

export function targets({ blob, manifest, digests }: Names): fc.Arbitrary<string> {
  const name = fc.oneof(
    fc.constantFrom('alpine', 'library/alpine', 'a', 'A', 'a/'.repeat(130), '..', 'a//b', '-a', 'none'),
    encoded,
  )
  const digest = fc.oneof(
    fc.constantFrom(...digests),
    fc.constantFrom(
      'sha256:',
      `sha256:${'a'.repeat(64)}`,
      `sha512:${'a'.repeat(128)}`,
      `sha256:${'A'.repeat(64)}`,
    ),
    fc.constantFrom('latest', 'x'.repeat(129), 'md5:00', `sha256:${'a'.repeat(63)}`),
    encoded,
  )
  const kind = fc.constantFrom('blobs', 'manifests', 'referrers', 'tags', 'uploads')
  return fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(blob, manifest) },
    fc.constantFrom(
      '/v2/',
      '/v2',
      '/',
      '*',
      '',
      '/v2/_catalog',
      '/v2/alpine/tags/list',
      'http://x/v2/',
      'x:1',
    ),
    {
      weight: 3,
      arbitrary: fc.tuple(name, kind, digest, query).map(([n, k, d, q]) => `/v2/${n}/${k}/${d}${q}`),
    },
    encoded.map((text) => `/${text}`),
    bytes(30),
  )
}

const range = fc.oneof(
  fc.constantFrom(
    'bytes=0-',
    'bytes=-1',
    'bytes=0-0',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bits=0-1',
    'bytes=5-2',
  ),
  fc
    .array(fc.tuple(fc.nat(400_000), fc.nat(400_000)), { minLength: 1, maxLength: 40 })
    .map((pairs) => `bytes=${pairs.map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`).join(',')}`),
  fc
    .array(
      fc.constantFrom('0-1', '1-2', '-5', '7-', ' ', '99999999999999999999-', '0-99999999999999999999'),
      {
        maxLength: 300,
      },
    )
    .map((specs) => `bytes=${specs.join(',')}`),
)

const tag = (digests: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constantFrom(...digests.map((digest) => `"${digest}"`)),
    fc.constantFrom('*', '""', 'W/"x"', '"x", "y"', ','),
    bytes(10),
  )

export function fields({ digests }: Names): fc.Arbitrary<readonly [string, string]> {
  const named = (name: string, value: fc.Arbitrary<string>): fc.Arbitrary<readonly [string, string]> =>
    value.map((text) => [name, text] as const)
  return fc.oneof(
    { weight: 12, arbitrary: named('Range', range) },
    { weight: 2, arbitrary: named('If-None-Match', tag(digests)) },
    { weight: 2, arbitrary: named('If-Match', tag(digests)) },
    named('If-Range', tag(digests)),
    named('If-Modified-Since', fc.constantFrom('Thu, 01 Jan 1970 00:00:00 GMT', 'x')),
    named('Host', fc.oneof(fc.constantFrom('x', 'x:99999', '', '[::1]', 'a b', '@', 'x/y'), bytes(8))),
    named('Accept', fc.constantFrom('*/*', 'application/vnd.oci.image.index.v1+json', '')),
    named('Connection', fc.constantFrom('close', 'keep-alive', 'upgrade', 'x')),
    named('Upgrade', fc.constantFrom('h2c', 'websocket')),
    named('Expect', fc.constantFrom('100-continue', 'x')),
    named('Content-Length', fc.constantFrom('0', '5', '-1', '1e9', '0x5', '18446744073709551616', '5, 5')),
    named('Transfer-Encoding', fc.constantFrom('chunked', 'gzip, chunked', 'identity', 'chunked, chunked')),
    fc.tuple(bytes(6), bytes(20)),
  )
}

/** The requests of one connection, one after another. */
export function conversations(names: Names): fc.Arbitrary<string> {
  const method = fc.oneof(
    { weight: 24, arbitrary: fc.constant('GET') },
    { weight: 6, arbitrary: fc.constant('HEAD') },
    fc.constantFrom(
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'CONNECT',
      'TRACE',
      'PRI',
      'get',
      'M-SEARCH',
    ),
    bytes(5),
  )
  const version = fc.oneof(
    { weight: 40, arbitrary: fc.constant('HTTP/1.1') },
    fc.constantFrom('HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.1 ', 'http/1.1', ''),
  )
  const host = fc.oneof({ weight: 30, arbitrary: fc.constant('Host: x\r\n') }, fc.constant(''))
  const body = fc.oneof(
    { weight: 30, arbitrary: fc.constant('') },
    fc.constantFrom('5\r\nhello\r\n0\r\n\r\n', 'hello', '0\r\n\r\n', 'ffffffffffffffff\r\n'),
    bytes(30),
  )
  const request = fc
    .tuple(method, targets(names), version, host, fc.array(fields(names), { maxLength: 5 }), body)
    .map(([verb, target, spoken, about, more, rest]) => {
      const lines = more.map(([name, value]) => `${name}: ${value}\r\n`).join('')
      return `${verb} ${target} ${spoken}\r\n${about}${lines}\r\n${rest}`
    })
  const mutated = fc.tuple(request, fc.nat(), fc.nat(255)).map(([text, at, byte]) => {
    const offset = at % text.length
    return text.slice(0, offset) + String.fromCharCode(byte) + text.slice(offset + 1)
  })
  const any = fc.oneof({ weight: 20, arbitrary: request }, mutated, bytes(100))
  return fc.array(any, { minLength: 1, maxLength: 4 }).map((requests) => requests.join(''))
}
