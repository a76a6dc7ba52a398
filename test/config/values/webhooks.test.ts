import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '../../../src/config/load.ts'
import { given, problem } from '../settings-file.ts'

test('a webhook has a URL, and otherwise what is given', async () => {
  const text = `webhooks:
  - url: https://hooks.corp/leat
  - url: http://127.0.0.1:8080/x?y
    events: [push, delete]
    names: [docker.io/library/*]
    format: distribution
    secretFile: /run/secret
    headersFile: /run/headers
    caFile: /run/ca.pem
`
  const { webhooks } = await loadSettings(await given(text))
  const none = { events: undefined, names: undefined, secretFile: undefined, headersFile: undefined }
  assert.deepEqual(webhooks, [
    { url: 'https://hooks.corp/leat', format: 'cloudevents', ...none, caFile: undefined },
    {
      url: 'http://127.0.0.1:8080/x?y',
      events: ['push', 'delete'],
      names: ['docker.io/library/*'],
      format: 'distribution',
      secretFile: '/run/secret',
      headersFile: '/run/headers',
      caFile: '/run/ca.pem',
    },
  ])
})

test('a webhook that cannot be is refused with its line, and its URL is not repeated', async () => {
  const table: readonly [string, RegExp][] = [
    ['webhooks: https://x\n', /^FILE:1: webhooks has no value; expected a list of webhooks/],
    ['webhooks:\n  - events: [pull]\n', /^FILE:2: webhooks\[0\] has no url/],
    ['webhooks:\n  - url: ftp://secret\n', /^FILE:2: webhooks\[0\]\.url is no URL/],
    ['webhooks:\n  - url: https://u:secret@x/\n', /^FILE:2: webhooks\[0\]\.url is no URL.*headersFile/],
    ['webhooks:\n  - url: [secret]\n', /^FILE:2: webhooks\[0\]\.url is no URL/],
    ['webhooks:\n  - url: https://x\n    events: []\n', /^FILE:2: webhooks\[0\] has an empty list of events/],
    ['webhooks:\n  - url: https://x\n    events: [pulls]\n', /^FILE:3: .*expected one of pull, push, delete/],
    [
      'webhooks:\n  - {url: https://x, format: distribution, events: [first-use]}\n',
      /first-use.*cloudevents/,
    ],
    ['webhooks:\n  - url: https://x\n    secret: y\n', /^FILE:3: unknown setting "secret".*secretFile/],
  ]
  for (const [text, expected] of table) {
    const found = await problem(text)
    assert.match(found, expected)
    assert.doesNotMatch(found, /https?:\/\/secret|u:secret/)
  }
})
