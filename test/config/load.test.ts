import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { inspect } from 'node:util'
import { loadSetting, loadSettings, type SettingSources } from '../../src/config/load.ts'
import { SettingsError } from '../../src/config/values/shape.ts'

let folder: string
let file: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-config-'))
  file = join(folder, 'config.yaml')
})

after(() => rm(folder, { recursive: true }))

async function given(yaml: string | undefined, more: Partial<SettingSources> = {}): Promise<SettingSources> {
  if (yaml === undefined) await rm(file, { force: true })
  else await writeFile(file, yaml)
  return { flags: {}, env: {}, defaultFile: file, ...more }
}

async function problem(yaml: string | undefined, more: Partial<SettingSources> = {}): Promise<string> {
  const failure = await loadSettings(await given(yaml, more)).then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.ok(failure instanceof SettingsError, `no problem found in ${yaml}`)
  assert.ok(!failure.message.includes('\n'))
  return failure.message.replaceAll(file, 'FILE')
}

test('without anything given, the embedded defaults hold', async () => {
  const settings = await loadSettings(await given(undefined))
  assert.deepEqual(settings, {
    config: undefined,
    listen: { host: '127.0.0.1', port: 5050 },
    admin: { host: '127.0.0.1', port: 5051 },
    data: './.leat',
    maxBytes: { percent: 80 },
    scrubRate: 16 * 1024 * 1024,
    tlsCert: undefined,
    tlsKey: undefined,
    allow: undefined,
    defaultNamespace: 'docker.io',
    drainTimeout: 25_000,
    peersSecretFile: undefined,
    bootstrap: [],
    publicDht: false,
    dht: { host: '0.0.0.0', port: 49_737 },
    peerListen: { host: '0.0.0.0', port: 5052 },
    advertise: undefined,
    zone: undefined,
    maxUpload: undefined,
    maxDownload: undefined,
    logLevel: 'info',
    upstreams: [],
    warm: [],
  })
})

test('a flag goes over the environment, that over the file, and that over the default', async () => {
  const yaml = 'data: /from/file\nlogLevel: debug\nmaxBytes: 1GiB\n'
  const settings = await loadSettings(
    await given(yaml, {
      env: { LEAT_DATA: '/from/env', LEAT_LOG_LEVEL: 'warn', HOME: '/root' },
      flags: { data: '/from/flag' },
    }),
  )
  assert.equal(settings.data, '/from/flag')
  assert.equal(settings.logLevel, 'warn')
  assert.deepEqual(settings.maxBytes, { bytes: 2 ** 30 })
  assert.equal(settings.defaultNamespace, 'docker.io')
})

test('an empty variable counts as none', async () => {
  const settings = await loadSettings(
    await given('data: /from/file\n', { env: { LEAT_DATA: '', UPSTREAM_CREDENTIALS: '' } }),
  )
  assert.equal(settings.data, '/from/file')
})

test('a list comes from repeated flags, from commas, or from the file', async () => {
  const patterns = ['docker.io/library/*', 'ghcr.io/acme/**']
  const sources: Partial<SettingSources>[] = [
    { flags: { allow: patterns } },
    { env: { LEAT_ALLOW: patterns.join(', ') } },
  ]
  for (const more of sources)
    assert.deepEqual((await loadSettings(await given(undefined, more))).allow, patterns)
  const fromFile = await loadSettings(await given(`allow: [${patterns.map((p) => `"${p}"`).join(', ')}]\n`))
  assert.deepEqual(fromFile.allow, patterns)
  assert.deepEqual((await loadSettings(await given('allow: []\n'))).allow, [])
})

test('an upstream is read with all it can have', async () => {
  const settings = await loadSettings(
    await given(`
upstreams:
  - namespace: index.docker.io
    host: [mirror.example.com:5000, registry-1.docker.io]
    tls: false
    acceptInvalidCerts: true
    caFile: /etc/ssl/my-ca.pem
    userAgent: containerd/2.1
    username: aaa
    password: 0123
    tagTtl: 0s
    staleIfError: 1d
    prefix: mirror/team
    allowPrivateTargets: true
    realms: [auth.example.com]
  - namespace: localhost:5000
  - namespace: ghcr.io
    host: ghcr.io
    dockerConfig: /root/.docker/config.json
  - { namespace: quay.io, username: bob, passwordFile: /run/secrets/quay }
`),
  )
  const [hub, local, github, quay] = settings.upstreams
  assert.equal(hub?.namespace, 'docker.io')
  assert.deepEqual(hub.hosts, ['mirror.example.com:5000', 'registry-1.docker.io'])
  assert.equal(hub.tls, false)
  assert.equal(hub.acceptInvalidCerts, true)
  assert.equal(hub.caFile, '/etc/ssl/my-ca.pem')
  assert.equal(hub.userAgent, 'containerd/2.1')
  assert.equal(hub.tagTtlMs, 0)
  assert.equal(hub.staleIfErrorMs, 86_400_000)
  assert.equal(hub.prefix, 'mirror/team')
  assert.equal(hub.allowPrivateTargets, true)
  assert.deepEqual(hub.realms, ['auth.example.com'])
  assert.ok(hub.credentials?.kind === 'password')
  assert.equal(hub.credentials.username, 'aaa')
  assert.equal(hub.credentials.password.reveal(), '0123', 'a password of digits keeps its zeros')
  assert.deepEqual(local, {
    namespace: 'localhost:5000',
    hosts: [],
    tls: true,
    acceptInvalidCerts: false,
    caFile: undefined,
    userAgent: undefined,
    credentials: undefined,
    tagTtlMs: 60_000,
    staleIfErrorMs: 604_800_000,
    prefix: undefined,
    allowPrivateTargets: false,
    realms: [],
  })
  assert.deepEqual(github?.hosts, ['ghcr.io'])
  assert.deepEqual(github.credentials, { kind: 'docker-config', file: '/root/.docker/config.json' })
  assert.deepEqual(quay?.credentials, { kind: 'password-file', username: 'bob', file: '/run/secrets/quay' })
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
      /^FILE:3: allow\[1\] is "https:\/\/x"; expected registry\/repository/,
    ],
    ['upstreams:\n', /^FILE:1: upstreams has no value/],
    ['upstreams: docker.io\n', /^FILE:1: upstreams/],
    ['upstreams: {a: b}\n', /^FILE:1: upstreams is a map; expected a list/],
    [
      'upstreams:\n  - docker.io\n',
      /^FILE:2: upstreams\[0\] is "docker.io"; expected a map with keys out of namespace/,
    ],
    ['upstreams:\n  - host: ghcr.io\n', /^FILE:2: upstreams\[0\] has no namespace/],
    ['upstreams:\n  - namespace: a.io\n    host: []\n', /empty list of hosts/],
    [
      'upstreams:\n  - namespace: a.io\n    tls: yes\n',
      /^FILE:3: upstreams\[0\]\.tls is "yes"; expected true or false/,
    ],
    [
      'upstreams:\n  - namespace: a.io\n    host: https://a.io\n',
      /^FILE:3: upstreams\[0\]\.host is "https:.*without https/,
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

test('an unknown key is refused with its line and what was probably meant', async () => {
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

test('an invalid flag or variable is refused by its name', async () => {
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

test('what Kubernetes puts into the environment for a service of that name is no mistake', async () => {
  const env = {
    LEAT_SERVICE_HOST: '10.0.0.1',
    LEAT_SERVICE_PORT: '5050',
    LEAT_SERVICE_PORT_REGISTRY: '5050',
    LEAT_PORT: 'tcp://10.0.0.1:5050',
    LEAT_PORT_5050_TCP: 'tcp://10.0.0.1:5050',
    LEAT_PORT_5050_TCP_ADDR: '10.0.0.1',
    LEAT_ADMIN_SERVICE_HOST: '10.0.0.2',
    LEAT_ADMIN_PORT: 'tcp://10.0.0.2:5051',
  }
  assert.equal((await loadSettings(await given(undefined, { env }))).listen.port, 5050)
})

test('a mistake is found also where another source wins', async () => {
  assert.match(await problem('maxBytes: lots\n', { flags: { 'max-bytes': '1GiB' } }), /^FILE:1: maxBytes/)
})

test('a file that was named must exist and be readable', async () => {
  assert.match(
    await problem(undefined, { flags: { config: join(folder, 'none.yaml') } }),
    /none\.yaml does not exist/,
  )
  assert.match(await problem(undefined, { env: { LEAT_CONFIG: folder } }), /^cannot read .*it is a folder/)
  await writeFile(join(folder, 'huge.yaml'), `# ${'x'.repeat(2 ** 20)}`)
  assert.match(await problem(undefined, { flags: { config: join(folder, 'huge.yaml') } }), /larger than 1MiB/)
})

test('certificate and key come together', async () => {
  assert.match(await problem('tlsCert: a.pem\n'), /both --tls-cert and --tls-key/)
  const both = await loadSettings(await given('tlsCert: a.pem\n', { flags: { 'tls-key': 'k.pem' } }))
  assert.deepEqual([both.tlsCert, both.tlsKey], ['a.pem', 'k.pem'])
})

test('credentials are given in one way, and whole', async () => {
  const upstream = (more: string) => `upstreams:\n  - namespace: a.io\n    ${more}\n`
  const table: readonly [string, RegExp][] = [
    ['username: u', /^FILE:2: upstreams\[0\] gives a username without a password/],
    ['password: hunter2', /gives a password without a username/],
    ['username: u\n    password: hunter2\n    passwordFile: f', /in more than one way/],
    ['username: u\n    dockerConfig: f', /a username beside dockerConfig/],
    ['username: u\n    password:', /password has no value/],
    ['username: u\n    password: [hunter2]', /password is a list; expected a text/],
  ]
  for (const [more, expected] of table) {
    const found = await problem(upstream(more))
    assert.match(found, expected)
    assert.ok(!found.includes('hunter2'))
  }
})

test('UPSTREAM_CREDENTIALS goes over the file and brings in registries that have no entry', async () => {
  const settings = await loadSettings(
    await given('upstreams:\n  - {namespace: docker.io, host: m.io, username: old, password: old}\n', {
      env: {
        UPSTREAM_CREDENTIALS: JSON.stringify({
          'registry-1.docker.io': { username: 'aaa', password: 'bbb' },
          'ghcr.io': { username: 'ccc', password: 'ddd' },
        }),
      },
    }),
  )
  const shown = settings.upstreams.map(({ namespace, hosts, credentials }) => [
    namespace,
    hosts,
    credentials?.kind === 'password' ? [credentials.username, credentials.password.reveal()] : credentials,
  ])
  assert.deepEqual(shown, [
    ['docker.io', ['m.io'], ['aaa', 'bbb']],
    ['ghcr.io', [], ['ccc', 'ddd']],
  ])
})

test('a broken UPSTREAM_CREDENTIALS is refused without a word of it', async () => {
  for (const variable of [
    'hunter2',
    '"hunter2"',
    '{"docker.io": hunter2}',
    '{"docker.io": {"username": "hunter2"}}',
    '{"docker.io": {"username": "a", "password": "hunter2", "hunter2": 1}}',
    '{"docker.io": {"username": "a", "password": ["hunter2"]}}',
    '{"https://hunter2": {"username": "a", "password": "b"}}',
    '{"docker.io": {"username": "a", "password": "hunter2"}, "index.docker.io": {"username": "a", "password": "hunter2"}}',
    '[]hunter2',
  ]) {
    const failure = await loadSettings(
      await given(undefined, { env: { UPSTREAM_CREDENTIALS: variable } }),
    ).then(
      () => assert.fail(variable),
      (error: unknown) => error,
    )
    assert.ok(failure instanceof SettingsError)
    assert.match(failure.message, /^UPSTREAM_CREDENTIALS must be JSON/)
    assert.ok(!inspect(failure, { depth: 10, showHidden: true }).includes('hunter2'), variable)
  }
})

test('settings can be printed whole without giving a password away, and cannot be changed', async () => {
  const settings = await loadSettings(
    await given('upstreams:\n  - {namespace: a.io, username: u, password: hunter2}\n', {
      env: { UPSTREAM_CREDENTIALS: '{"b.io": {"username": "u", "password": "hunter3"}}' },
    }),
  )
  for (const printed of [inspect(settings, { depth: 20, showHidden: true }), JSON.stringify(settings)]) {
    assert.ok(!/hunter[23]/.test(printed), printed)
    assert.match(printed, /a\.io/)
  }
  const frozen = (value: unknown): boolean =>
    value === null ||
    typeof value !== 'object' ||
    (Object.isFrozen(value) && Object.values(value).every(frozen))
  assert.ok(frozen(settings))
})

test('one setting is had without reading a file that is not needed for it', async () => {
  const broken = await given('nonsense: [\n', { flags: { admin: '127.0.0.1:9' } })
  assert.deepEqual(await loadSetting('admin', broken), { host: '127.0.0.1', port: 9 })
  await assert.rejects(loadSetting('admin', { ...broken, flags: {} }), SettingsError)
  const fromFile = await given('admin: 127.0.0.1:7\n')
  assert.deepEqual(await loadSetting('admin', fromFile), { host: '127.0.0.1', port: 7 })
})
