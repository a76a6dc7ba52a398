import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '../../src/config/load.ts'
import { given, problem } from './settings-file.ts'

test('without sources the settings are the defaults', async () => {
  const settings = await loadSettings(await given(undefined))
  assert.deepEqual(settings, {
    config: undefined,
    listen: { host: '127.0.0.1', port: 5050 },
    admin: { host: '127.0.0.1', port: 5051 },
    adminAuth: undefined,
    adminTls: undefined,
    metricsListen: undefined,
    adminTokenFile: undefined,
    adminCa: undefined,
    data: './.leat',
    maxBytes: { percent: 80 },
    minFree: { percent: 10, atMostBytes: 20 * 1024 ** 3 },
    scrubRate: 16 * 1024 * 1024,
    lanes: undefined,
    lazyRanges: 'off',
    tlsCert: undefined,
    tlsKey: undefined,
    auth: undefined,
    allow: undefined,
    defaultNamespace: 'docker.io',
    drainTimeout: 25_000,
    hosted: [],
    hostedGrace: 24 * 60 * 60 * 1000,
    hostedRetention: [],
    hostedDelete: true,
    peersSecretFile: undefined,
    bootstrap: [],
    publicDht: false,
    docker: false,
    sources: [],
    dht: { host: '0.0.0.0', port: 49_737 },
    peerListen: { host: '0.0.0.0', port: 5052 },
    advertise: undefined,
    nodeName: undefined,
    zone: undefined,
    maxUpload: undefined,
    maxDownload: undefined,
    logLevel: 'info',
    logFormat: 'auto',
    upstreams: [],
    warm: [],
    objectStore: undefined,
    copies: [],
    redirects: [],
    webhooks: [],
  })
})

test('an invalid value in the file is refused with its line and what is allowed', async () => {
  const table: readonly [string, RegExp][] = [
    ['data: x\nmaxBytes: lots\n', /^FILE:2: maxBytes is "lots"; expected a size such as 50GiB/],
    ['maxBytes:\n', /^FILE:1: maxBytes has no value; expected a size/],
    ['maxBytes: [1]\n', /^FILE:1: maxBytes is a list; expected a size/],
    ['listen: 5050\n', /^FILE:1: listen is "5050"; expected host:port/],
    ['logLevel: loud\n', /^FILE:1: logLevel is "loud"; expected one of trace, debug, info/],
    ['drainTimeout: 2h\n', /^FILE:1: drainTimeout is "2h"; expected a duration such as 25s, at most 1h/],
    ['allow:\n', /^FILE:1: allow has no value; expected a list/],
    [
      'allow:\n  - docker.io/library/*\n  - https://x\n',
      /^FILE:3: allow\[1\] has a wrong value; expected registry\/repository/,
    ],
    ['upstreams:\n', /^FILE:1: upstreams has no value/],
    ['upstreams: docker.io\n', /^FILE:1: upstreams/],
    ['upstreams: {a: b}\n', /^FILE:1: upstreams is a map; expected a list/],
    [
      'upstreams:\n  - docker.io\n',
      /^FILE:2: upstreams\[0\] is a text; expected a map with keys out of namespace/,
    ],
    ['upstreams:\n  - host: ghcr.io\n', /^FILE:2: upstreams\[0\] has no namespace/],
    ['upstreams:\n  - namespace: a.io\n    host: []\n', /empty list of hosts/],
    [
      'upstreams:\n  - namespace: a.io\n    tls: yes\n',
      /^FILE:3: upstreams\[0\]\.tls is "yes"; expected true or false/,
    ],
    [
      'upstreams:\n  - namespace: a.io\n    host: https://a.io\n',
      /^FILE:3: upstreams\[0\]\.host has a wrong value; expected host or host:port.*without https/,
    ],
    [
      'upstreams:\n  - namespace: a.io\n    tagTtl: 60\n',
      /^FILE:3: upstreams\[0\]\.tagTtl is "60"; expected a duration/,
    ],
    [
      'upstreams:\n  - namespace: a.io\n    userAgent: "a\\nb"\n',
      /^FILE:3: upstreams\[0\]\.userAgent .*printable/,
    ],
    ['upstreams:\n  - namespace: a.io\n    prefix: /x/\n', /^FILE:3: upstreams\[0\]\.prefix/],
    [
      'upstreams:\n  - namespace: docker.io\n  - namespace: registry-1.docker.io\n',
      /^FILE:3: upstreams\[1\] is a second entry for docker\.io/,
    ],
  ]
  for (const [yaml, expected] of table) assert.match(await problem(yaml), expected)
})

test('an unknown key is refused with its line and the key that was probably meant', async () => {
  assert.match(
    await problem('data: x\nmaxbyte: 1GiB\n'),
    /^FILE:2: unknown setting "maxbyte"; did you mean maxBytes\?/,
  )
  assert.match(
    await problem('frobnicate: 1\n'),
    /^FILE:1: unknown setting "frobnicate"; known are .*listen.*upstreams/,
  )
  assert.match(
    await problem('upstreams:\n  - namespace: a.io\n    tagttl: 60s\n'),
    /^FILE:3: unknown setting "tagttl"; did you mean tagTtl\?/,
  )
  assert.match(await problem('config: other.yaml\n'), /^FILE:1: unknown setting "config"/)
  assert.match(await problem('__proto__: 1\n'), /^FILE:1: unknown setting "__proto__"/)
  assert.match(
    await problem('upstreams:\n  - {namespace: a.io, constructor: 1}\n'),
    /unknown setting "constructor"/,
  )
})

test('an invalid flag or variable is refused with its name', async () => {
  assert.match(
    await problem(undefined, { flags: { 'max-bytes': 'lots' } }),
    /^--max-bytes is "lots"; expected a size/,
  )
  assert.match(
    await problem(undefined, { flags: { listen: ['a:1', 'b:2'] } }),
    /^--listen is given more than once/,
  )
  assert.match(await problem(undefined, { flags: { data: '' } }), /^--data has no value/)
  assert.match(
    await problem(undefined, { env: { LEAT_LISTEN: 'x' } }),
    /^LEAT_LISTEN is "x"; expected host:port/,
  )
  assert.match(
    await problem(undefined, { env: { LEAT_MAXBYTES: '1GiB' } }),
    /^environment: unknown setting "LEAT_MAXBYTES"; did you mean LEAT_MAX_BYTES\?/,
  )
})
