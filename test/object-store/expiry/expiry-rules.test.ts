import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ExpiryRules } from '../../../src/object-store/expiry/expiry-rules.ts'

const DAY_MS = 86_400_000
const NOW = Date.parse('2026-03-01T00:00:00Z')
const APP = { registry: 'ghcr.io', name: 'acme/app' }
const TAGS = [
  { tag: 'v1', modifiedAt: NOW - 90 * DAY_MS },
  { tag: 'build-7', modifiedAt: NOW - 40 * DAY_MS },
  { tag: 'build-8', modifiedAt: NOW - 20 * DAY_MS },
  { tag: 'build-9', modifiedAt: NOW - DAY_MS },
]

function gone(rule: object, repository: typeof APP | 'unnamed' = APP): readonly string[] {
  const rules = new ExpiryRules([{ names: ['ghcr.io/acme/*'], ...rule }])
  return rules.expired(repository === 'unnamed' ? undefined : repository, TAGS, NOW).map(({ tag }) => tag.tag)
}

test('a tag goes when no condition of the rule keeps it', () => {
  assert.deepEqual(gone({ keepTags: ['v*'] }), ['build-7', 'build-8', 'build-9'])
  assert.deepEqual(gone({ keepLast: 1 }), ['v1', 'build-7', 'build-8'])
  assert.deepEqual(gone({ keepForMs: 30 * DAY_MS }), ['v1', 'build-7'])
  assert.deepEqual(gone({ keepTags: ['v*'], keepLast: 1, keepForMs: 30 * DAY_MS }), ['build-7'])
})

test('without a rule for the repository, or without a condition, every tag stays', () => {
  assert.deepEqual(gone({}), [])
  assert.deepEqual(gone({ keepLast: 0 }, { registry: 'docker.io', name: 'library/alpine' }), [])
  assert.deepEqual(gone({ keepLast: 0 }, 'unnamed'), [])
})

test('the first rule counts whose names match, and the reason names it', () => {
  const rules = new ExpiryRules([
    { names: ['ghcr.io/acme/app'], keepLast: 4 },
    { names: ['ghcr.io/**'], keepLast: 0 },
  ])
  assert.deepEqual(rules.expired(APP, TAGS, NOW), [])
  const [first] = rules.expired({ registry: 'ghcr.io', name: 'acme/other' }, TAGS, NOW)
  assert.equal(first?.why, 'kept by no condition of the rule for ghcr.io/**')
})

test('tags of signatures do not count as those that were confirmed last', () => {
  const signed = [...TAGS, { tag: `sha256-${'a'.repeat(64)}.sig`, modifiedAt: NOW }]
  const rules = new ExpiryRules([{ names: ['ghcr.io/acme/*'], keepLast: 1 }])
  assert.ok(!rules.expired(APP, signed, NOW).some(({ tag }) => tag.tag === 'build-9'))
})
