import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '../../src/config/load.ts'
import { given, problem } from './settings-file.ts'

test('a redirect has a host and a registry, and otherwise what is given', async () => {
  const text = `redirects:
  - host: Images.example.dev
    to: https://us-docker.pkg.dev/v2/project/repo/
  - { host: "*", to: https://ghcr.io/v2/, mode: serve }
`
  const { redirects } = await loadSettings(await given(text))
  const none = { clients: [], trustedProxies: [] }
  assert.deepEqual(redirects, [
    {
      host: 'images.example.dev',
      to: 'https://us-docker.pkg.dev/v2/project/repo/',
      mode: 'redirect',
      ...none,
    },
    { host: '*', to: 'https://ghcr.io/v2/', mode: 'serve', ...none },
  ])
})

test('a redirect that cannot be is refused with its line', async () => {
  const url = 'https://ghcr.io/v2/'
  const table: readonly [string, RegExp][] = [
    ['redirects: x\n', /^FILE:1: redirects has no value; expected a list of redirects/],
    [`redirects:\n  - to: ${url}\n`, /^FILE:2: redirects\[0\] has no host/],
    ['redirects:\n  - host: x.test\n', /^FILE:2: redirects\[0\] has no to/],
    [
      `redirects:\n  - host: x.test:80\n    to: ${url}\n`,
      /^FILE:2: redirects\[0\]\.host is .*without a port/,
    ],
    [
      'redirects:\n  - host: x.test\n    to: http://ghcr.io/v2/\n',
      /^FILE:3: redirects\[0\]\.to has a wrong value; .*https URL/,
    ],
    [
      'redirects:\n  - host: x.test\n    to: https://ghcr.io/v2\n',
      /^FILE:3: redirects\[0\]\.to has a wrong value; .*final slash/,
    ],
    [
      `redirects:\n  - { host: x.test, to: ${url}, mode: proxy }\n`,
      /mode is "proxy"; expected one of redirect, serve/,
    ],
    [
      `redirects:\n  - { host: x.test, to: ${url} }\n  - { host: X.test, to: ${url} }\n`,
      /redirects has two entries for the host x\.test/,
    ],
  ]
  for (const [text, expected] of table) assert.match(await problem(text), expected)
})
