import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RuntimeFailure } from '../../../src/runtimes/files/failure.ts'
import { removeMarked } from '../../../src/runtimes/files/markers.ts'
import { certificatesIn, withMirror } from '../../../src/runtimes/kinds/hosts-toml.ts'
import { fc } from '../../../testkit/property-runs.ts'
import { MIRROR_URL } from '../install-fixture.ts'
import { parseDocument } from '../toml-document.ts'

const OPTIONS = { path: '/certs.d/a/hosts.toml', certificates: { ca: [], client: [] }, ca: undefined }
const AGENT = { capabilities: ['pull', 'resolve'], dial_timeout: '200ms' }

test('an empty file gets only the mirror', () => {
  for (const text of [undefined, '']) {
    assert.deepEqual(parseDocument(withMirror(text, MIRROR_URL, OPTIONS)), { host: { [MIRROR_URL]: AGENT } })
  }
})

test('certificates that containerd found by itself are named, because it ignores them beside a hosts.toml', () => {
  const certificates = certificatesIn(['b.cert', 'b.key', 'ca.crt', 'both.cert', 'hosts.toml', 'lone.key'])
  assert.deepEqual(parseDocument(withMirror(undefined, MIRROR_URL, { ...OPTIONS, certificates })), {
    ca: ['ca.crt'],
    client: [
      ['b.cert', 'b.key'],
      ['both.cert', 'both.cert'],
    ],
    host: { [MIRROR_URL]: AGENT },
  })
})

test('the CA of the agent is named for the agent only', () => {
  const url = 'https://10.0.0.7:5050'
  const ca = '/etc/containerd/certs.d/leat-ca.crt'
  for (const text of [undefined, 'ca = "theirs.crt"\n[host."https://y"]\n']) {
    const document = parseDocument(withMirror(text, url, { ...OPTIONS, ca }))
    assert.deepEqual((document['host'] as Record<string, unknown>)[url], { ...AGENT, ca })
    assert.equal(document['ca'], text === undefined ? undefined : 'theirs.crt')
  }
})

test('the mirror comes first, and the rest of the file is kept', () => {
  const table: readonly [what: string, text: string][] = [
    ['a server', 'server = "https://corp:5000"\n'],
    ['no newline at the end', 'server = "https://corp:5000"'],
    [
      'another mirror',
      'server = "https://x"\n\n# the one in town\n[host."https://y/v2/team"]\n  override_path = true\n',
    ],
    ['a comment only', '# nothing yet\n'],
    ['a header table before the hosts', '[header]\n  a = "b"\n[host."https://y"]\n  skip_verify = true\n'],
    [
      'a table in quotes of its own kind',
      "[ 'host' . 'https://y' ]\ncapabilities=['pull']\n[host.'https://y'.header]\nx='y'\n",
    ],
    ['what looks like a table in a text', 'server = """\n[host."https://no"]\n"""\n[host."https://y"]\n'],
    ['Windows line ends', 'server = "https://x"\r\n[host."https://y"]\r\n  ca = "a.crt"\r\n'],
  ]
  for (const [what, text] of table) {
    const after = withMirror(text, MIRROR_URL, OPTIONS)
    const [before, now] = [parseDocument(text), parseDocument(after)]
    const hosts = { ...(before['host'] as object | undefined) }
    assert.deepEqual(now, { ...before, host: { [MIRROR_URL]: AGENT, ...hosts } }, what)
    assert.deepEqual(Object.keys(now['host'] as object), [MIRROR_URL, ...Object.keys(hosts)], what)
    assert.equal(removeMarked(after).text, text, what)
  }
})

test('a file that has the mirror already is not changed', () => {
  for (const url of [MIRROR_URL, `${MIRROR_URL}/`, `${MIRROR_URL}/v2`]) {
    const text = `[host."${url}"]\n  capabilities = ["pull"]\n`
    assert.equal(withMirror(text, MIRROR_URL, OPTIONS), text)
  }
})

test('a file that cannot be changed is an error that says what to do', () => {
  const table: readonly [text: string, reason: RegExp][] = [
    [
      'host = { "https://y" = { ca = "a" } }\n',
      /cannot be changed automatically; put \[host\."http:\/\/127\.0\.0\.1:5050"\] before/,
    ],
    ['host."https://y".ca = "a"\n', /cannot be changed automatically/],
    ['this is no TOML', /hosts\.toml:1 is not valid TOML .*; correct it first/],
  ]
  for (const [text, reason] of table) {
    assert.throws(
      () => withMirror(text, MIRROR_URL, OPTIONS),
      (error) => error instanceof RuntimeFailure && reason.test(error.message),
    )
  }
})

const name = fc.constantFrom('https://a', 'https://b:5000/v2/x', 'http://c', 'd.example')
const host = name.map((each) => `[host."${each}"]\n`)
const body = fc.constantFrom(
  '  skip_verify = true\n',
  '\n',
  '# comment\n',
  '  capabilities = [\n  "pull",\n]\n',
  '',
  "  ca = '''\n[x]\n'''\n",
)
const documents = fc
  .tuple(
    fc.constantFrom('', '# head\n', 'server = "https://s"\n', '\n'),
    fc.uniqueArray(fc.tuple(host, body), { selector: ([table]) => table, maxLength: 4 }),
    fc.boolean(),
  )
  .map(([head, hosts, ends]) => `${head}${hosts.flat().join('')}`.slice(0, ends ? undefined : -1))

test('any file is either an error, or changed so that removing the block restores it', () => {
  fc.assert(
    fc.property(fc.oneof(documents, fc.string()), (text) => {
      let after: string
      try {
        after = withMirror(text, MIRROR_URL, OPTIONS)
      } catch (error) {
        assert.ok(error instanceof RuntimeFailure)
        return
      }
      assert.equal(removeMarked(after).text, text)
      assert.equal(Object.keys(parseDocument(after)['host'] as object)[0], MIRROR_URL)
    }),
  )
})
