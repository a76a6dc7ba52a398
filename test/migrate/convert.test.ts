import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringify as tomlOf } from 'smol-toml'
import { convertSettings, type GivenFile, KIND_NAMES, UnknownFormat } from '../../src/migrate/convert.ts'
import { fc, runs } from '../../testkit/property-runs.ts'
import { imported, loaded } from './imported.ts'

test('several files become one, and the first value of each setting counts', async () => {
  const files = [
    { path: 'registry.env', text: 'UPSTREAM_CREDENTIALS={}\nLISTEN=0.0.0.0:1\nDEFAULT_NAMESPACE=quay.io' },
    { path: 'up.yaml', text: '[{ namespace: quay.io, host: mirror.example }]' },
    { path: 'certs.d/quay.io/hosts.toml', text: '[host."https://other.example"]' },
  ]
  const { settings, notes, kinds, yaml } = convertSettings(files, { kind: undefined, withPasswords: false })
  assert.deepEqual(settings, {
    listen: '0.0.0.0:1',
    defaultNamespace: 'quay.io',
    upstreams: [{ namespace: 'quay.io', host: ['mirror.example'] }],
  })
  assert.deepEqual(kinds, ['oci-registry', 'oci-registry', "containerd's hosts.toml"])
  assert.match(notes.join('\n'), /quay\.io has another host already/)
  assert.equal((await loaded(yaml)).upstreams[0]?.hosts[0], 'mirror.example')
})

test('a file of no known tool is refused with the names of the tools', () => {
  for (const text of ['', 'hello', '{"a": 1}', 'a: [1', '- 1', '\0', 'A=1']) {
    assert.throws(
      () => convertSettings([{ path: 'x', text }], { kind: undefined, withPasswords: false }),
      (error) => error instanceof UnknownFormat && error.message.includes('registry-proxy, spegel'),
      text,
    )
  }
})

test('a file that is not valid in its format is refused before anything is made of it', () => {
  const table: readonly [string, string, string | undefined, RegExp][] = [
    ['hosts.toml', '[host', undefined, /hosts\.toml is empty, or not valid TOML; correct it first/],
    ['config.yml', 'proxy: [', undefined, /not valid YAML/],
    ['daemon.json', '{', undefined, /not valid JSON/],
    ['x', '[host', 'containerd-hosts', /not valid TOML/],
    ['x', '', 'spegel', /x is empty, or not valid YAML/],
    ['x', 'a: 1', 'docker', /not valid JSON/],
  ]
  for (const [path, text, kind, expected] of table) {
    assert.throws(
      () => convertSettings([{ path, text }], { kind, withPasswords: false }),
      (error) => error instanceof UnknownFormat && expected.test(error.message),
    )
  }
})

test('aliases and merged keys of YAML are read, and a file that expands without end is not', async () => {
  const { settings } = await imported(`services:
  a: &a
    image: registry:2
    environment: { REGISTRY_PROXY_REMOTEURL: https://ghcr.io }
  b: { <<: *a }`)
  assert.equal(settings.defaultNamespace, 'ghcr.io')
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghi']
    .map((name, i) => `${name}: &${name} [${`*${'abcdefghi'[i]},`.repeat(9)}]`)
    .join('\n')}\nspegel: {}`
  assert.throws(() => convertSettings([{ path: 'x', text: bomb }], { kind: undefined, withPasswords: false }))
})

test('whatever a file says, the result is a valid configuration file', async () => {
  const word = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom(
      'docker.io',
      'https://m.example/v2/x',
      'http://m:1',
      'true',
      'null',
      '1h',
      '&x',
      '- a',
      "'",
    ),
  )
  const tree = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: 'small' }, word, fc.array(tie('value'), { maxLength: 3 }), tie('table')),
    table: fc.dictionary(
      fc.constantFrom(
        ...['namespace', 'host', 'tls', 'username', 'prefix', 'location', 'mirror', 'endpoint', 'remoteurl'],
        ...[
          'addr',
          'registry-mirrors',
          'insecure-registries',
          'mirroredRegistries',
          'registry',
          'registries',
        ],
        ...[
          'proxy',
          'http',
          'storage',
          'spegel',
          'auth',
          'configs',
          'mirrors',
          'docker.io',
          'certificate',
          'key',
        ],
      ),
      tie('value'),
    ),
  }))
  const texts = fc.oneof(
    tree.value.map((value) => JSON.stringify(value)),
    tree.table.map((table) => tomlOf(table)),
    fc
      .array(fc.tuple(fc.constantFrom('REGISTRY_PREFIXES', 'LISTEN', 'PORT', 'UpstreamRegistry'), word), {
        maxLength: 4,
      })
      .map((lines) => lines.map((line) => line.join('=')).join('\n')),
  )
  await fc.assert(
    fc.asyncProperty(texts, fc.constantFrom(...KIND_NAMES), async (text, kind) => {
      const file = { path: 'certs.d/ghcr.io/hosts', text }
      await loaded(convertedYaml(file, kind))
    }),
    runs(200),
  )
})

/** An empty file if the text cannot be one of this kind. */
function convertedYaml(file: GivenFile, kind: string): string {
  try {
    return convertSettings([file], { kind, withPasswords: false }).yaml
  } catch (error) {
    if (error instanceof UnknownFormat) return ''
    throw error
  }
}
