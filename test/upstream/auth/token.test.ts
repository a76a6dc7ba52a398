import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseToken, refreshForm, tokenUrl } from '../../../src/upstream/auth/token.ts'

const NOW = Date.parse('2026-01-01T00:10:00Z')

const TABLE: readonly [unknown, { token: string; lifetimeMs: number } | undefined][] = [
  [{ token: 'a' }, { token: 'a', lifetimeMs: 60_000 }],
  [
    { access_token: 'a', expires_in: 300 },
    { token: 'a', lifetimeMs: 300_000 },
  ],
  [
    { token: '', access_token: 'b' },
    { token: 'b', lifetimeMs: 60_000 },
  ],
  [
    { token: 'a', access_token: 'b' },
    { token: 'a', lifetimeMs: 60_000 },
  ],
  [
    { token: 'a', expires_in: 5 },
    { token: 'a', lifetimeMs: 60_000 },
  ],
  [
    { token: 'a', expires_in: 1e9 },
    { token: 'a', lifetimeMs: 86_400_000 },
  ],
  [
    { token: 'a', expires_in: 300, issued_at: '2026-01-01T00:08:00Z' },
    { token: 'a', lifetimeMs: 180_000 },
  ],
  [
    { token: 'a', expires_in: 300, issued_at: '2026-01-01T00:20:00Z' },
    { token: 'a', lifetimeMs: 300_000 },
  ],
  [
    { token: 'a', expires_in: null, issued_at: 'yesterday' },
    { token: 'a', lifetimeMs: 60_000 },
  ],
  [{}, undefined],
  [{ token: 5 }, undefined],
  [{ token: 'a\r\nX-Injected: 1' }, undefined],
  [{ token: 'a b' }, undefined],
  [[], undefined],
  [null, undefined],
]

for (const [answer, expected] of TABLE) {
  test(`the token of ${JSON.stringify(answer)} is ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(parseToken(JSON.stringify(answer), NOW), expected)
  })
}

test('a response that is not JSON contains no token', () =>
  assert.equal(parseToken('<html>', NOW), undefined))

test('each scope is a parameter of its own, and the query of the realm is kept', () => {
  const url = tokenUrl(new URL('https://a/t?x=1'), 'r', ['repository:a:pull', 'other'])
  assert.equal(url.href, 'https://a/t?x=1&service=r&scope=repository%3Aa%3Apull&scope=other')
})

test('an identity token is exchanged with a form', () => {
  const form = new URLSearchParams(refreshForm('secret', 's', ['a', 'b']))
  assert.deepEqual(Object.fromEntries(form), {
    grant_type: 'refresh_token',
    refresh_token: 'secret',
    client_id: 'leat',
    service: 's',
    scope: 'a b',
  })
})
