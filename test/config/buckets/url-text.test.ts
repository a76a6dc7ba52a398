import assert from 'node:assert/strict'
import { test } from 'node:test'
import { urlText } from '../../../src/config/buckets/url-text.ts'
import { problem } from '../settings-file.ts'

test('a text that is not allowed is refused without being repeated', () => {
  const format = urlText((given) => (given === 'good' ? 1 : undefined), 'good')
  const at = { location: 'FILE:1', name: 'to' }
  assert.equal(format.read({ ...at, value: 'good' }), 1)
  const wrong = { message: 'FILE:1: to has a wrong value; expected good' }
  assert.throws(() => format.read({ ...at, value: 'hunter2' }), wrong)
  assert.throws(() => format.read({ ...at, value: [] }), wrong)
  assert.throws(() => format.read({ ...at, value: '' }), {
    message: 'FILE:1: to has no value; expected good',
  })
})

test('no error repeats the credentials in the URL of a bucket or a registry', async () => {
  const to = 'to: https://ghcr.io/v2/'
  const bucket = 'networks: ["::1"], to: s3://images'
  for (const [text, name] of [
    ['objectStore: { url: "s3://user:hunter2@images" }', 'objectStore.url has'],
    ['objectStore: "s3://user:hunter2@images"', 'objectStore is a text'],
    ['objectStore: { url: s3://images, endpoint: "https://user:hunter2@s3.test" }', 'endpoint has'],
    ['redirects: [{ host: x.test, to: "https://user:hunter2@ghcr.io/v2/" }]', 'to has'],
    ['redirects: ["https://user:hunter2@ghcr.io/v2/"]', 'redirects[0] is a text'],
    [
      `redirects: [{ host: x.test, ${to}, clients: [{ networks: ["::1"], to: "https://images.test/?sig=hunter2" }] }]`,
      'to has',
    ],
    [
      `redirects: [{ host: x.test, ${to}, clients: [{ ${bucket}, endpoint: "https://u:hunter2@s3.test" }] }]`,
      'endpoint has',
    ],
    [`redirects: [{ host: x.test, ${to}, clients: ["s3://user:hunter2@images"] }]`, 'clients[0] is a text'],
  ] as const) {
    const told = await problem(`${text}\n`)
    assert.ok(told.includes(name), told)
    assert.ok(!told.includes('hunter2'), told)
  }
})
