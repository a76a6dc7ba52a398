import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RuntimeFailure } from '../../../src/runtimes/files/failure.ts'
import { cutMarked } from '../../../src/runtimes/files/marks.ts'
import { certificatesIn, withMirror } from '../../../src/runtimes/kinds/hosts-toml.ts'
import { parsed } from '../parsed.ts'

const URL = 'http://127.0.0.1:5050'
const NONE = { path: '/certs.d/a/hosts.toml', certificates: { ca: [], client: [] }, ca: undefined }
const OURS = { capabilities: ['pull', 'resolve'], dial_timeout: '200ms' }

test('an empty file becomes one with the mirror and nothing else', () => {
  for (const text of [undefined, '']) {
    assert.deepEqual(parsed(withMirror(text, URL, NONE)), { host: { [URL]: OURS } })
  }
})

test('certificates that containerd found by itself are named, because it looks no longer', () => {
  const certificates = certificatesIn(['b.cert', 'b.key', 'ca.crt', 'both.cert', 'hosts.toml', 'lone.key'])
  assert.deepEqual(parsed(withMirror(undefined, URL, { ...NONE, certificates })), {
    ca: ['ca.crt'],
    client: [
      ['b.cert', 'b.key'],
      ['both.cert', 'both.cert'],
    ],
    host: { [URL]: OURS },
  })
})

test('who has signed the certificate of the agent is named for the agent only', () => {
  const url = 'https://10.0.0.7:5050'
  const ca = '/etc/containerd/certs.d/leat-ca.crt'
  for (const text of [undefined, 'ca = "theirs.crt"\n[host."https://y"]\n']) {
    const made = parsed(withMirror(text, url, { ...NONE, ca }))
    assert.deepEqual((made['host'] as Record<string, unknown>)[url], { ...OURS, ca })
    assert.equal(made['ca'], text === undefined ? undefined : 'theirs.crt')
  }
})

test('the mirror comes first and all that was there stays', () => {
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
    const after = withMirror(text, URL, NONE)
    const [before, now] = [parsed(text), parsed(after)]
    const hosts = { ...(before['host'] as object | undefined) }
    assert.deepEqual(now, { ...before, host: { [URL]: OURS, ...hosts } }, what)
    assert.deepEqual(Object.keys(now['host'] as object), [URL, ...Object.keys(hosts)], what)
    assert.equal(cutMarked(after).text, text, what)
  }
})

test('a file that has the mirror already is left alone', () => {
  for (const url of [URL, `${URL}/`, `${URL}/v2`]) {
    const text = `[host."${url}"]\n  capabilities = ["pull"]\n`
    assert.equal(withMirror(text, URL, NONE), text)
  }
})

test('a file that cannot be added to is refused with what to do', () => {
  const table: readonly [text: string, reason: RegExp][] = [
    [
      'host = { "https://y" = { ca = "a" } }\n',
      /cannot be added to; put \[host\."http:\/\/127\.0\.0\.1:5050"\] before/,
    ],
    ['host."https://y".ca = "a"\n', /cannot be added to/],
    ['this is no TOML', /hosts\.toml:1 is not TOML that can be read .*; correct it first/],
  ]
  for (const [text, reason] of table) {
    assert.throws(
      () => withMirror(text, URL, NONE),
      (error) => error instanceof RuntimeFailure && reason.test(error.message),
    )
  }
})

const name = fc.constantFrom('https://a', 'https://b:5000/v2/x', 'http://c', 'd.example')
const host = name.map((one) => `[host."${one}"]\n`)
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

test('any file is added to so that taking it out gives the file again, or is refused', () => {
  fc.assert(
    fc.property(fc.oneof(documents, fc.string()), (text) => {
      let after: string
      try {
        after = withMirror(text, URL, NONE)
      } catch (error) {
        assert.ok(error instanceof RuntimeFailure)
        return
      }
      assert.equal(cutMarked(after).text, text)
      assert.equal(Object.keys(parsed(after)['host'] as object)[0], URL)
    }),
  )
})
