import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '../../../src/config/load.ts'
import { given, problem } from '../settings-file.ts'

test('auth has ways to log in and rules', async () => {
  const yaml = `tlsCert: /c
tlsKey: /k
auth:
  htpasswd: /etc/leat/users
  token:
    realm: https://login.example.com/token
    service: registry.example.com
    issuer: login.example.com
    key: /etc/leat/login.pem
    algorithms: [RS256, ES256]
  clientCertificates: { caFile: /etc/leat/clients.pem }
  anonymous: [pull, list]
  loopback: login
  rules:
    - who: [ci-*, "spiffe://example.com/ci/**"]
      names: [team/**, docker.io/library/*]
      actions: [pull, push]
      networks: [10.0.0.0/8, fd00::/8]
    - { who: authenticated, actions: pull }
`
  const { auth } = await loadSettings(await given(yaml))
  assert.deepEqual(auth, {
    htpasswd: '/etc/leat/users',
    token: {
      realm: 'https://login.example.com/token',
      service: 'registry.example.com',
      issuer: 'login.example.com',
      algorithms: ['RS256', 'ES256'],
      keys: { kind: 'pem', file: '/etc/leat/login.pem' },
    },
    clientCertificates: { caFile: '/etc/leat/clients.pem' },
    anonymous: ['pull', 'list'],
    loopback: 'login',
    rules: [
      {
        who: ['ci-*', 'spiffe://example.com/ci/**'],
        names: ['team/**', 'docker.io/library/*'],
        actions: ['pull', 'push'],
        networks: ['10.0.0.0/8', 'fd00::/8'],
      },
      { who: ['authenticated'], actions: ['pull'] },
    ],
  })
})

test('an empty list of rules allows nothing, and is not the same as none', async () => {
  const { auth } = await loadSettings(await given('auth: { htpasswd: /users, rules: [] }'))
  assert.deepEqual(auth, { htpasswd: '/users', rules: [] })
})

test('the keys of a token service are PEM, a file of keys, or an address', async () => {
  const service = 'realm: https://l.test/t, service: r, issuer: i'
  for (const [keys, expected] of [
    ['key: /k.pem', { kind: 'pem', file: '/k.pem' }],
    ['jwks: /k.json', { kind: 'jwks-file', file: '/k.json' }],
    ['jwks: "https://l.test/keys"', { kind: 'jwks-url', url: 'https://l.test/keys' }],
    [
      'jwks: "https://l.test/keys", jwksCaFile: /ca',
      { kind: 'jwks-url', url: 'https://l.test/keys', caFile: '/ca' },
    ],
  ] as const) {
    const { auth } = await loadSettings(await given(`auth: { token: { ${service}, ${keys} } }`))
    assert.deepEqual(auth?.token?.keys, expected)
  }
})

const TOKEN = 'realm: https://l.test/t, service: r, issuer: i'
for (const [yaml, message] of [
  ['auth:', /^FILE:1: auth is empty; expected a map with keys out of htpasswd, token/],
  ['auth: { loopback: open }', /^FILE:1: auth has no way to log in; give htpasswd, token or clientCert/],
  [
    'auth:\n  htpasswd: /u\n  loopback: closed',
    /^FILE:3: auth\.loopback is "closed"; expected one of open, login/,
  ],
  [
    'auth:\n  htpasswd: /u\n  anonymous: [push]',
    /^FILE:3: auth\.anonymous\[0\] is "push"; expected one of pull, list/,
  ],
  ['auth:\n  htpaswd: /u', /^FILE:2: unknown setting "htpaswd"; did you mean htpasswd\?/],
  ['auth: { clientCertificates: {} }', /clientCertificates has no caFile; give the authorities/],
  [
    'auth: { clientCertificates: { caFile: /ca } }',
    /clientCertificates needs TLS; give --tls-cert and --tls-key/,
  ],
  ['auth: { token: { service: r, issuer: i, key: /k } }', /lacks one of realm, service and issuer/],
  [`auth: { token: { ${TOKEN} } }`, /needs the keys of the service from one place; give one of jwks and key/],
  [`auth: { token: { ${TOKEN}, key: /k, jwks: /j } }`, /give one of jwks and key/],
  [`auth: { token: { ${TOKEN}, jwks: /j, jwksCaFile: /ca } }`, /jwksCaFile, which is for a jwks at an https/],
  [`auth: { token: { ${TOKEN}, jwks: "http://l.test/k" } }`, /expected a path or an https address/],
  [`auth: { token: { ${TOKEN}, key: /k, algorithms: [HS256] } }`, /is "HS256"; expected one of RS256/],
  [`auth: { token: { ${TOKEN}, key: /k, algorithms: [none] } }`, /is "none"; expected one of RS256/],
  [`auth: { token: { ${TOKEN}, key: /k, algorithms: [] } }`, /empty list of algorithms; leave it out/],
  [
    'auth: { token: { realm: l.test, service: r, issuer: i, key: /k } }',
    /realm is "l\.test"; expected the address/,
  ],
  [
    'auth: { token: { realm: "https://l.test/\\"x", service: r, issuer: i, key: /k } }',
    /expected the address/,
  ],
  [
    "auth: { token: { realm: 'https://l.test', service: 'r\"', issuer: i, key: /k } }",
    /without quotation marks/,
  ],
  ['auth: { htpasswd: /u, rules: all }', /auth\.rules has no value; expected a list of rules/],
  [
    'auth: { htpasswd: /u, rules: [{ actions: [pull] }] }',
    /rules\[0\] does not say whom it is for; give who/,
  ],
  ['auth: { htpasswd: /u, rules: [{ who: [a] }] }', /rules\[0\] allows nothing; give actions/],
  [
    'auth: { htpasswd: /u, rules: [{ who: [a], actions: [write] }] }',
    /is "write"; expected one of pull, push/,
  ],
  [
    'auth: { htpasswd: /u, rules: [{ who: [a], actions: [pull], names: [Team] }] }',
    /is "Team"; expected a repository/,
  ],
  [
    'auth:\n  htpasswd: /u\n  rules:\n    - who: [a]\n      actions: [pull]\n      networks: [10.0.0.0/33]',
    /^FILE:6: auth\.rules\[0\]\.networks\[0\] is "10\.0\.0\.0\/33"; expected a network such as/,
  ],
] as const) {
  test(`${yaml} is refused`, async () => {
    assert.match(await problem(yaml), message)
  })
}
