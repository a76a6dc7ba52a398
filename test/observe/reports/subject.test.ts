import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../memory-node.ts'
import { WhyFixture } from './why-fixture.ts'

const fixture = new WhyFixture()

test('a reference with a tag and a digest is looked up by the digest', async () => {
  fixture.node.put('layer')
  const { report } = await fixture.why(`alpine:3.20@${digestOf('layer')}`)
  assert.equal(report.tag, null)
  assert.equal(report.digest, digestOf('layer'))
  assert.equal(report.next, 'A request is served from the store.')
  assert.match(
    (await fixture.why(digestOf('gone'))).report.next,
    /is not stored: a request fetches it from the registry named in the request/,
  )
})

test('an abbreviated digest resolves to the stored digest; too few or unknown digits are refused', async () => {
  fixture.node.put('layer')
  assert.equal((await fixture.why(digestOf('layer').slice(0, 19))).report.digest, digestOf('layer'))
  const refusals: string[] = []
  for (const start of ['sha256:1', `sha256:${'0'.repeat(12)}`, 'sha256:XYZXYZ']) {
    const report = await fixture.report(start)
    refusals.push(report.ok ? '' : report.problem)
  }
  assert.match(refusals.join(), /is not a digest.*no stored digest begins with.*is not a digest/)
})

test('a subject that is neither an image nor a digest is refused with a sentence', async () => {
  for (const subject of ['', 'UPPER', 'alpine:', 'sha256:12', 'a@sha256:12', 'https://ghcr.io/a']) {
    const report = await fixture.report(subject)
    assert.ok(!report.ok && report.problem.length > 10, subject)
  }
})
