import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { scrub } from '../../src/observe/redact.ts'

test('credentials are taken out wherever they stand', () => {
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
  for (const [text, expected] of table) assert.equal(scrub(text), expected)
})

test('what is no credential stays', () => {
  for (const text of [
    'registry-1.docker.io answered 503 to GET /v2/library/alpine/manifests/3.20',
    'connect ECONNREFUSED 127.0.0.1:5000',
    `sha256:${'a'.repeat(64)} has 12 bytes, expected 13`,
    'https://ghcr.io/v2/ answered 401',
    'the token was refused',
  ]) {
    assert.equal(scrub(text), text)
  }
})

test('no password in a URL survives, whatever it is made of', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9!$%^&*()_+=~.-]{6,30}$/), fc.domain(), (password, host) => {
      fc.pre(!host.includes(password))
      assert.ok(!scrub(`cannot reach https://user:${password}@${host}/v2/: refused`).includes(password))
    }),
  )
})

test('a long hostile text takes no time', () => {
  // Of this process alone: a machine that is busy with others takes none of it.
  const before = process.cpuUsage()
  for (const text of [
    'a://'.repeat(60_000),
    `https://${'a'.repeat(300_000)}`,
    'bearer '.repeat(60_000),
    'eyJ'.repeat(90_000),
  ]) {
    scrub(text)
  }
  // Going over such a text once for each of its characters would take minutes.
  assert.ok(process.cpuUsage(before).user < 30_000_000)
})
