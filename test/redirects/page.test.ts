import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { pageOf } from '../../src/redirects/page.ts'

const FACTS = {
  host: 'images.example.dev:5000',
  registry: 'us-docker.pkg.dev/project/repo',
  mode: 'redirect',
  hasBuckets: false,
  pulls: [{ name: 'team/app', count: 3 }],
} as const

test('the page says what the host is, how to pull from it, and what was pulled most', () => {
  const { html } = pageOf(FACTS)
  assert.match(html, /redirects clients to <code>us-docker\.pkg\.dev\/project\/repo<\/code>/)
  for (const command of ['podman pull', 'docker pull', 'ctr images pull'])
    assert.ok(html.includes(`${command} images.example.dev:5000/team/app:TAG`), command)
  assert.ok(html.includes('<tr><td>team/app</td><td>3</td></tr>'))
  assert.doesNotMatch(html, /near them/)
  assert.match(pageOf({ ...FACTS, hasBuckets: true }).html, /copy of layers near them/)
  assert.match(pageOf({ ...FACTS, mode: 'serve' }).html, /from a cache\./)
  assert.match(pageOf({ ...FACTS, pulls: [] }).html, /Nothing was pulled since the start/)
})

test('the policy allows the one style of the page, and nothing else', () => {
  const { html, policy } = pageOf(FACTS)
  const style = /<style>([\s\S]*)<\/style>/.exec(html)?.[1] ?? ''
  const hash = createHash('sha256').update(style).digest('base64')
  assert.ok(policy.includes(`style-src 'sha256-${hash}'`))
  assert.match(policy, /^default-src 'none'; /)
  assert.ok(!html.includes('<script') && !html.includes('style='))
})

test('nothing that comes from outside becomes a part of the page', () => {
  const hostile = `<img src=x onerror="y">'&`
  const { html } = pageOf({
    ...FACTS,
    host: hostile,
    registry: hostile,
    pulls: [{ name: hostile, count: 1 }],
  })
  assert.ok(!html.includes('<img'))
  assert.ok(html.includes('&lt;img src=x onerror=&quot;y&quot;&gt;&#39;&amp;'))
})
