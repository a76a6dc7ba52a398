import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Retention, type RetentionRule } from '../../../src/hosted/garbage/retention.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { OTHER, TEAM } from '../lab.ts'

const DAY = 24 * 60 * 60 * 1000
const NOW = 1_000 * DAY
const GRACE_MS = DAY

/** Tags by name: how many days ago each was pushed, and pulled. */
function tagsOf(ages: Readonly<Record<string, readonly [number, number?]>>) {
  return Object.entries(ages).map(([tag, [pushed, pulled]]) => ({
    repository: TEAM,
    tag,
    digest: digestOf(Buffer.from(tag)),
    mediaType: undefined,
    pushedAt: NOW - pushed * DAY,
    pulledAt: pulled === undefined ? undefined : NOW - pulled * DAY,
  }))
}

const TAGS = tagsOf({ v1: [100, 90], v2: [50, 1], main: [3, 0], 'pr-7': [20, 15], 'pr-8': [10], old: [400] })

function left(rule: Omit<RetentionRule, 'names'>, repository = TEAM): string {
  const retention = new Retention([{ names: ['team/app'], ...rule }], GRACE_MS)
  const gone = new Set(retention.expired(repository, TAGS, NOW).map(({ tag }) => tag))
  return TAGS.map(({ tag }) => tag)
    .filter((tag) => !gone.has(tag))
    .join(' ')
}

const ALL = TAGS.map(({ tag }) => tag).join(' ')

test('a tag stays if any condition of the rule keeps it', () => {
  assert.equal(left({ keepTags: ['v*'] }), 'v1 v2')
  assert.equal(left({ keepTags: ['v1', 'm*n'] }), 'v1 main')
  assert.equal(left({ keepTags: ['.*'] }), '', 'a pattern is no regular expression')
  assert.equal(left({ keepLast: 2 }), 'main pr-8')
  assert.equal(left({ keepLast: 0 }), '')
  assert.equal(left({ keepForMs: 15 * DAY }), 'main pr-8')
  assert.equal(left({ keepPulledWithinMs: 2 * DAY }), 'v2 main')
  assert.equal(left({ keepTags: ['v*'], keepLast: 1, keepPulledWithinMs: 16 * DAY }), 'v1 v2 main pr-7')
})

test('all tags stay without a rule for the repository, and with a rule without conditions', () => {
  assert.equal(left({ keepLast: 0 }, OTHER), ALL)
  assert.equal(left({ untaggedMs: 7 * DAY }), ALL)
  assert.deepEqual(new Retention([], GRACE_MS).expired(TEAM, TAGS, NOW), [])
})

test('the first rule that names a repository counts', () => {
  const rules = [
    { names: ['team/app'], keepTags: ['*'] },
    { names: ['team/**'], keepLast: 0 },
  ]
  const retention = new Retention(rules, GRACE_MS)
  assert.equal(retention.expired(TEAM, TAGS, NOW).length, 0)
  assert.equal(retention.expired(OTHER, TAGS, NOW).length, TAGS.length)
})

test('content that no tag needs stays for the grace period at least', () => {
  const rule = (untaggedMs: number) => new Retention([{ names: ['team/**'], untaggedMs }], GRACE_MS)
  assert.equal(rule(7 * DAY).unneededMs(TEAM, 'manifest'), 7 * DAY)
  assert.equal(rule(7 * DAY).unneededMs(TEAM, 'blob'), GRACE_MS)
  assert.equal(rule(1).unneededMs(TEAM, 'manifest'), GRACE_MS)
  assert.equal(new Retention([], GRACE_MS).unneededMs(TEAM, 'manifest'), GRACE_MS)
})
