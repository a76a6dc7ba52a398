import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { ALPINE, digestOf } from '../memory-node.ts'
import { WhyFixture } from './why-fixture.ts'

const fixture = new WhyFixture()

test('the report on a stale tag names the hosts that revalidate it, and what is served if none answers', async () => {
  fixture.node.tagAs('latest', fixture.node.putImage(['x']).digest, 90_000)
  const { report } = await fixture.why('alpine')
  assert.equal(report.tagRecord?.state, 'stale')
  assert.equal(
    report.next,
    'The tag was last confirmed 1m ago, so a request first asks mirror.example.com, then registry-1.docker.io whether it has moved; if none answers, the known digest is served for another 6d.',
  )
})

test('a tag beyond stale-if-error, and one confirmed in the future, are revalidated', async () => {
  const { digest } = fixture.node.putImage(['x'])
  fixture.node.tagAs('old', digest, 30 * 86_400_000)
  fixture.node.tagAs('future', digest, -5_000)
  assert.match(
    (await fixture.why('alpine:old')).report.next,
    /if none answers, the known digest is too old to be served\.$/,
  )
  assert.equal((await fixture.why('alpine:future')).report.tagRecord?.state, 'stale')
})

test('the report on an imported tag says so, and that it is served until a registry names another digest', async () => {
  const importedAt = Date.now() - 30 * 86_400_000
  const { digest } = fixture.node.putImage(['x'])
  fixture.node.tagRecords.push({ repository: ALPINE, tag: 'mine', digest, checkedAt: importedAt, importedAt })
  const { report, text } = await fixture.why('alpine:mine')
  assert.equal(report.tagRecord?.state, 'stale')
  assert.match(report.next, /^The tag was imported, .*; if none says so, the imported one is served\.$/)
  assert.match(text, /^tag: +imported 30d ago, not confirmed by a registry \(served until/m)
})

test('the report on an unknown tag names the hosts that a request would ask', async () => {
  const { report, text } = await fixture.why('ghcr.io/acme/app:v1')
  assert.equal(report.digest, null)
  assert.match(
    report.next,
    /^The tag is not known to this node: a request asks mirror\.example\.com, then .* for it and for its manifest\.$/,
  )
  assert.match(text, /^ghcr\.io\/acme\/app:v1\ntag: {6}unknown\n/)
})

test('the prediction names hosts whose circuit is open, and repositories that are not allowed', async () => {
  publish('upstream.circuit', { host: 'mirror.example.com', open: true, reason: '503 five times' })
  assert.match(
    (await fixture.why('alpine:none')).report.next,
    /mirror\.example\.com \(circuit open: 503 five times\)/,
  )
  fixture.node.disallowed.add('docker.io/library/alpine')
  assert.equal(
    (await fixture.why('alpine:none')).report.next,
    'A request gets 404: docker.io/library/alpine is not on the allow list.',
  )
})

test('the report of the owner predicts that it fetches from upstream for all peers', async () => {
  const digest = digestOf('near')
  const owner = { name: 'node-0', self: true }
  fixture.node.availability.set(digest, { owner, asked: 1, answered: 1, holders: [] })
  fixture.node.owner = owner
  const { report, text } = await fixture.why(`alpine@${digest}`)
  assert.match(text, /^owner: {4}this node\npeers: {4}0 of 1 have it\n/m)
  assert.equal(
    report.next,
    'It is not stored: this node is the owner; unless a peer has it, this node fetches it from mirror.example.com, then registry-1.docker.io for all peers.',
  )
  assert.match(
    (await fixture.why('alpine:none')).report.next,
    /^The tag is not known to this node: a request asks mirror\.example\.com, then/,
  )
})

test('the prediction for a tag that a peer owns names that peer before upstream', async () => {
  fixture.node.owner = { name: 'node-5', self: false }
  assert.equal(
    (await fixture.why('alpine:none')).report.next,
    'The tag is not known to this node: a request asks its owner node-5, then mirror.example.com, then registry-1.docker.io for it and for its manifest.',
  )
})

test('the prediction for a hosted repository names the bucket that has it, if one does', async () => {
  const { digest } = fixture.node.putImage(['pushed'])
  const stored = `localhost/team/app@${digest}`
  const missing = `localhost/team/app@${digestOf('in no store')}`
  fixture.node.hostedRepositories.push('localhost/team/app')
  assert.match((await fixture.why(missing)).report.next, /^A request gets 404/)
  fixture.node.hostedBucket = 's3://images'
  assert.match((await fixture.why(stored)).report.next, /asks s3:\/\/images .* served from the store\.$/)
  assert.match(
    (await fixture.why(missing)).report.next,
    /asks s3:\/\/images .* fetched from peers, or from there\.$/,
  )
})
