import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redact } from '../../src/observe/redact.ts'
import { fc } from '../../testkit/property-runs.ts'

test('credentials are replaced wherever they occur in a text', () => {
  const table: readonly [string, string][] = [
    ['cannot reach https://aaa:hunter2@ghcr.io/v2/', 'cannot reach https://***@ghcr.io/v2/'],
    ['GET https://cdn.io/x?X-Amz-Signature=hunter2&a=b failed', 'GET https://cdn.io/x?*** failed'],
    ['Authorization: Bearer hunter2.abc', 'Authorization: Bearer ***'],
    ['authorization: Basic aHVudGVyMg==', 'authorization: Basic ***'],
    ['{"password":"hunter2"}', '{"password":"***"}'],
    ['refresh_token=hunter2&scope=x', 'refresh_token=***&scope=x'],
    ['access_token: hunter2', 'access_token: ***'],
    ['got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln back', 'got *** back'],
  ]
  for (const [text, expected] of table) assert.equal(redact(text), expected)
})

test('a text without credentials is not changed', () => {
  for (const text of [
    'registry-1.docker.io answered 503 to GET /v2/library/alpine/manifests/3.20',
    'connect ECONNREFUSED 127.0.0.1:5000',
    `sha256:${'a'.repeat(64)} has 12 bytes, expected 13`,
    'https://ghcr.io/v2/ answered 401',
    'the token was refused',
  ]) {
    assert.equal(redact(text), text)
  }
})

test('a password in a URL is always replaced', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9!$%^&*()_+=~.-]{6,30}$/), fc.domain(), (password, host) => {
      fc.pre(!host.includes(password))
      assert.ok(!redact(`cannot reach https://user:${password}@${host}/v2/: refused`).includes(password))
    }),
  )
})

test('a long hostile text is redacted in linear time', () => {
  // CPU time of this process does not depend on what else runs on the machine.
  const before = process.cpuUsage()
  for (const text of [
    'a://'.repeat(60_000),
    `https://${'a'.repeat(300_000)}`,
    'bearer '.repeat(60_000),
    'eyJ'.repeat(90_000),
  ]) {
    redact(text)
  }
  // An expression that backtracks over the text for each character would take minutes.
  assert.ok(process.cpuUsage(before).user < 30_000_000)
})
