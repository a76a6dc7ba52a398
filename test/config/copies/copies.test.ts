import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '../../../src/config/load.ts'
import { given, problem } from '../settings-file.ts'

const HOUR_MS = 3_600_000

async function copiesIn(yaml: string) {
  return (await loadSettings(await given(yaml))).copies
}

test('copies say where, what and when', async () => {
  const yaml = `copies:
  - to: s3://bucket-eu/prefix
    endpoint: https://s3.example:9000
    region: eu-central-1
    platforms: [linux/amd64]
    schedule: { images: [alpine:3.20], cron: "30 3 * * 1-5" }
    notified: { names: ["ghcr.io/acme/**"], secretFile: /run/secrets/registry }
    costPerGiB: 0.09
  - to: s3://bucket-us
    schedule: { images: [alpine:3.20], every: 6h }
    pulled: { times: 3, within: 7d, from: [10.0.0.0/8], zones: [us-1], dropAfter: 30d }
`
  assert.deepEqual(await copiesIn(yaml), [
    {
      to: {
        bucket: 'bucket-eu',
        prefix: 'prefix',
        endpoint: 'https://s3.example:9000/',
        region: 'eu-central-1',
      },
      platforms: ['linux/amd64'],
      schedule: { images: ['alpine:3.20'], cron: '30 3 * * 1-5' },
      notified: { names: ['ghcr.io/acme/**'], secretFile: '/run/secrets/registry' },
      costPerGiB: 0.09,
    },
    {
      to: { bucket: 'bucket-us', prefix: '' },
      schedule: { images: ['alpine:3.20'], everyMs: 6 * HOUR_MS },
      pulled: {
        times: 3,
        withinMs: 7 * 24 * HOUR_MS,
        from: ['10.0.0.0/8'],
        zones: ['us-1'],
        dropAfterMs: 30 * 24 * HOUR_MS,
      },
    },
  ])
})

test('copies that cannot be meant are refused with what is allowed', async () => {
  const schedule = 'schedule: { images: [a], every: 1h }'
  const refusals: readonly (readonly [yaml: string, message: RegExp])[] = [
    [`[{ ${schedule} }]`, /has no to/],
    ['[{ to: s3://bucket }]', /needs schedule, notified or pulled/],
    ['[{ to: s3://bucket, schedule: { images: [a] } }]', /needs either every, such as 6h, or cron/],
    ['[{ to: s3://bucket, schedule: { images: [a], every: 1h, cron: "* * * * *" } }]', /needs either every/],
    ['[{ to: s3://bucket, schedule: { images: [a], every: 1m } }]', /at least 10m/],
    ['[{ to: s3://bucket, schedule: { images: [a], cron: "@daily" } }]', /five fields of crontab/],
    ['[{ to: s3://bucket, schedule: { images: [], every: 1h } }]', /has no images/],
    ['[{ to: s3://bucket, notified: { names: ["a.test/b"] } }]', /has no secretFile/],
    ['[{ to: s3://bucket, notified: { names: [], secretFile: /x } }]', /has no names/],
    ['[{ to: s3://bucket, pulled: { times: 3 } }]', /needs times and within/],
    ['[{ to: s3://bucket, pulled: { times: 0, within: 1d } }]', /from 1 to 9999/],
    ['[{ to: s3://bucket, pulled: { times: 1, within: 1d, dropAfter: 1d } }]', /at least 2d/],
    [`[{ to: s3://bucket, platforms: [all, linux/arm64], ${schedule} }]`, /lists all and single platforms/],
    [`[{ to: s3://bucket, sseKeyId: k, ${schedule} }]`, /sse: aws:kms/],
    [`[{ to: s3://b-1, ${schedule} }, { to: s3://b-1, ${schedule} }]`, /two entries for s3:\/\/b-1/],
  ]
  for (const [yaml, message] of refusals) assert.match(await problem(`copies: ${yaml}\n`), message)
})

test('copies do not go to the bucket that has the hosted repositories', async () => {
  const yaml = (hosted: boolean, to: string): string => `hosted: [team/**]
objectStore: { url: "s3://images/prod", endpoint: "https://s3.example:9000", hosted: ${hosted} }
copies: [{ to: "${to}", endpoint: "https://s3.example:9000/", schedule: { images: [a], every: 1h } }]
`
  assert.equal(
    await problem(yaml(true, 's3://images/prod')),
    'copies go to s3://images/prod, which has the hosted repositories of objectStore (hosted: true) and would lose their tags; copy to another bucket or prefix',
  )
  assert.equal((await copiesIn(yaml(true, 's3://images/copies'))).length, 1)
  assert.equal((await copiesIn(yaml(false, 's3://images/prod'))).length, 1)
})
