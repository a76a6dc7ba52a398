import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '../../../src/config/load.ts'
import { given, problem } from '../settings-file.ts'

const HEAD = 'redirects:\n  - host: x.test\n    to: https://ghcr.io/v2/\n'

test('clients are in networks, or in those of a file, and have a bucket', async () => {
  const text = `${HEAD}    trustedProxies: [10.0.0.1]
    clients:
      - networks: [10.0.0.0/8, "fd00::/8"]
        to: s3://images-eu/cache/
        region: eu-central-1
        registry: ghcr.io
      - ranges: [{ file: /etc/leat/ip-ranges.json, regions: [us-*] }]
        to: https://images-us.example.dev/
        caFile: /ca.pem
`
  const [redirect] = (await loadSettings(await given(text))).redirects
  assert.deepEqual(redirect?.trustedProxies, ['10.0.0.1'])
  assert.deepEqual(redirect?.clients, [
    {
      networks: ['10.0.0.0/8', 'fd00::/8'],
      ranges: [],
      to: {
        name: 's3://images-eu/cache/',
        bucket: { bucket: 'images-eu', prefix: 'cache', region: 'eu-central-1' },
        registry: 'ghcr.io',
      },
    },
    {
      networks: [],
      ranges: [{ file: '/etc/leat/ip-ranges.json', regions: ['us-*'] }],
      to: {
        name: 'https://images-us.example.dev/',
        bucket: {
          bucket: '',
          prefix: '',
          endpoint: 'https://images-us.example.dev/',
          credentials: 'none',
          caFile: '/ca.pem',
        },
      },
    },
  ])
})

test('clients that cannot be are refused with their line', async () => {
  const to = 'to: s3://bucket'
  const table: readonly [string, RegExp][] = [
    ['clients: x', /^FILE:4: redirects\[0\]\.clients has no value; expected a list of clients/],
    [`clients: [{ ${to} }]`, /clients\[0\] has neither networks nor ranges/],
    ['clients: [{ networks: [10.0.0.0/8] }]', /clients\[0\] has no to; expected a bucket/],
    [
      `clients: [{ networks: [10.0.0.0/33], ${to} }]`,
      /networks is "10\.0\.0\.0\/33"; expected a network|networks\[0\] is/,
    ],
    [`clients: [{ ranges: [{ regions: [x] }], ${to} }]`, /ranges\[0\] has no file/],
    ['clients: [{ networks: [::1], to: gs://x }]', /to has a wrong value; expected s3:\/\/bucket/],
    [
      'clients: [{ networks: [::1], to: "https://u:p@x/" }]',
      /\.to has a wrong value; expected s3:\/\/bucket/,
    ],
    [
      'clients: [{ networks: [::1], to: "https://x/?q=1" }]',
      /\.to has a wrong value; expected s3:\/\/bucket/,
    ],
    [
      'clients: [{ networks: [::1], to: "s3://bucket/../x" }]',
      /\.to has a wrong value; expected s3:\/\/bucket/,
    ],
    ['clients: [{ networks: [::1], to: "https://x/", region: a }]', /has region, which is for s3:\/\/ only/],
    ['trustedProxies: [x]', /trustedProxies.* is "x"; expected a network/],
  ]
  for (const [line, expected] of table) assert.match(await problem(`${HEAD}    ${line}\n`), expected)
})
