import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import * as v from 'valibot'
import { publish } from '../../../src/observe/events.ts'
import { Hosts } from '../../../src/observe/records/hosts.ts'
import { Journal } from '../../../src/observe/records/journal.ts'
import { whyReport } from '../../../src/observe/reports/why.ts'
import { whyText } from '../../../src/observe/why-text.ts'
import { WhyReport } from '../../../src/schemas/report.ts'
import {
  flightAttempted,
  flightEnded,
  flightStarted,
  peerGuided,
  peerTransfer,
  requestEnded,
} from '../facts.ts'
import { ALPINE, digestOf, MemoryNode } from '../memory-node.ts'

let node: MemoryNode
let journal: Journal
let hosts: Hosts

beforeEach(() => {
  // Ages are told in seconds: none is to pass during a test.
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  node = new MemoryNode()
  journal = new Journal()
  hosts = new Hosts()
})

afterEach(() => {
  journal.close()
  hosts.close()
  mock.timers.reset()
})

async function why(subject: string): Promise<{ report: WhyReport; text: string }> {
  const report = await whyReport(node, journal, hosts, subject)
  assert.ok(report.ok, subject)
  const text = whyText(report.value, Date.now())
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f]|undefined|null|NaN/)
  return { report: v.parse(WhyReport, JSON.parse(JSON.stringify(report.value))), text }
}

test('a stored blob tells where it is from and that it would be served', async () => {
  node.put('layer')
  node.seen.set(digestOf('layer'), [ALPINE])
  const { report, text } = await why(digestOf('layer'))
  assert.equal(report.stored?.origin, 'upstream registry-1.docker.io')
  assert.deepEqual(report.seenIn, ['docker.io/library/alpine'])
  assert.equal(report.parts, null)
  assert.equal(report.next, 'It would be served from the store.')
  assert.match(text, /stored: {3}5 B \(blob\), since 1h ago, from upstream registry-1\.docker\.io/)
  assert.match(text, /seen in: {2}docker\.io\/library\/alpine/)
})

test('a fresh tag tells its record, its parts and that nobody will be asked', async () => {
  node.tagAs('3.20', node.putImage(['one', 'two'], ['two']).digest, 20_000)
  const { report, text } = await why('alpine:3.20')
  assert.equal(report.repository, 'docker.io/library/alpine')
  assert.equal(report.tagRecord?.state, 'fresh')
  assert.deepEqual(
    report.parts?.map(({ role, state }) => [role, state]),
    [
      ['config', 'stored'],
      ['layer', 'stored'],
      ['layer', 'missing'],
    ],
  )
  assert.match(report.next, /^The tag is fresh for another 40s.*it would be served from the store\.$/)
  assert.match(text, /parts: {4}2 of 3 are here/)
  assert.match(text, new RegExp(`missing {2}${digestOf('two')} {2}layer, 3 B`))
})

test('a stale tag tells who would be asked, and what happens without an answer', async () => {
  node.tagAs('latest', node.putImage(['x']).digest, 90_000)
  const { report } = await why('alpine')
  assert.equal(report.tagRecord?.state, 'stale')
  assert.equal(
    report.next,
    'The tag was last confirmed 1m ago, so mirror.example.com, then registry-1.docker.io would be asked whether it has moved; without an answer the known one is served, for another 6d.',
  )
})

test('a tag past its last grace, and one from the future, are asked about', async () => {
  const { digest } = node.putImage(['x'])
  node.tagAs('old', digest, 30 * 86_400_000)
  node.tagAs('future', digest, -5_000)
  assert.match((await why('alpine:old')).report.next, /without an answer it is too old to be served\.$/)
  assert.equal((await why('alpine:future')).report.tagRecord?.state, 'stale')
})

test('a tag that is not known says so', async () => {
  const { report, text } = await why('ghcr.io/acme/app:v1')
  assert.equal(report.digest, null)
  assert.match(
    report.next,
    /^The tag is not known here: mirror\.example\.com, then .* asked for it and for its manifest\.$/,
  )
  assert.match(text, /^ghcr\.io\/acme\/app:v1\ntag: {6}not known here\n/)
})

test('a transfer under way tells how far it is and who waits', async () => {
  node.underWay.push({
    digest: digestOf('layer'),
    kind: 'blob',
    repository: ALPINE,
    startedAt: Date.now() - 3000,
    position: 512,
    size: 1024,
    waiters: 20,
    source: 'registry-1.docker.io',
  })
  const { report, text } = await why(digestOf('layer'))
  assert.equal(report.flight?.waiters, 20)
  assert.equal(report.next, 'It would join the transfer under way, which has 512 B of 1.0 KiB.')
  assert.match(text, /coming: {3}512 B of 1\.0 KiB from registry-1\.docker\.io, begun 3s ago, 20 waiters/)
})

test('the last requests and flights are told with their reasons', async () => {
  const digest = digestOf('layer')
  publish('flight.started', flightStarted({ resumedAt: 100 }))
  publish(
    'flight.attempted',
    flightAttempted({ source: 'mirror.example.com', error: new Error('reset at https://u:hunter2@m/') }),
  )
  publish('flight.attempted', flightAttempted())
  publish('flight.ended', flightEnded())
  publish(
    'request.ended',
    requestEnded({ source: 'upstream', cacheStatus: 'leat; fwd=uri-miss; detail=upstream' }),
  )
  publish(
    'request.ended',
    requestEnded({ code: 502, bytes: 0, source: undefined, error: 'token=hunter2', aborted: true }),
  )
  publish('request.ended', requestEnded({ reference: digestOf('another') }))
  const { report, text } = await why(digest)
  assert.equal(report.requests.length, 2)
  assert.equal(report.requests[1]?.cacheStatus, 'leat; fwd=uri-miss; detail=upstream')
  assert.equal(report.flights[0]?.attempts.length, 2)
  assert.match(text, /requests: \d+ms ago: GET docker\.io\/library\/alpine sha256:[0-9a-f]{12} → 502/)
  assert.match(text, /the client left/)
  assert.match(text, /mirror\.example\.com brought 1000 B in 30ms, then: reset at https:\/\/\*\*\*@m\//)
  assert.ok(!JSON.stringify(report).includes('hunter2'))
})

test('a host that is left alone, and a repository that is not allowed, are reasons', async () => {
  publish('upstream.circuit', { host: 'mirror.example.com', open: true, reason: '503 five times' })
  assert.match(
    (await why('alpine:none')).report.next,
    /mirror\.example\.com \(left alone at the moment: 503 five times\)/,
  )
  node.forbidden.add('docker.io/library/alpine')
  assert.equal(
    (await why('alpine:none')).report.next,
    'It would be answered with 404: docker.io/library/alpine is not on the allow list.',
  )
})

test('with a digest in the reference, the digest says what it is', async () => {
  node.put('layer')
  const { report } = await why(`alpine:3.20@${digestOf('layer')}`)
  assert.equal(report.tag, null)
  assert.equal(report.digest, digestOf('layer'))
  assert.equal(report.next, 'It would be served from the store.')
  assert.match(
    (await why(digestOf('gone'))).report.next,
    /is not here: the registry of the repository in the request/,
  )
})

test('a manifest of very many parts is not looked through to the end', async () => {
  const layers = Array.from({ length: 500 }, (_, i) => `layer ${i}`)
  const { report } = await why(node.putImage(layers).digest)
  assert.equal(report.parts?.length, 200)
  assert.equal(report.partsLeftOut, 301)
})

test('a digest is found by its first digits, when they are enough', async () => {
  node.put('layer')
  assert.equal((await why(digestOf('layer').slice(0, 19))).report.digest, digestOf('layer'))
  const refusals: string[] = []
  for (const start of ['sha256:1', `sha256:${'0'.repeat(12)}`, 'sha256:XYZXYZ']) {
    const report = await whyReport(node, journal, hosts, start)
    refusals.push(report.ok ? '' : report.problem)
  }
  assert.match(refusals.join(), /is not a digest.*nothing here begins with.*is not a digest/)
})

test('what is neither an image nor a digest is refused with a sentence', async () => {
  for (const subject of ['', 'UPPER', 'alpine:', 'sha256:12', 'a@sha256:12', 'https://ghcr.io/a']) {
    const report = await whyReport(node, journal, hosts, subject)
    assert.ok(!report.ok && report.problem.length > 10, subject)
  }
})

test('who owns it and who has it is told, and that peers would be asked first', async () => {
  const digest = digestOf('far')
  node.held.set(digest, {
    owner: { name: 'node-5', isSelf: false },
    asked: 4,
    answered: 3,
    holders: [
      { name: 'node-5', address: '10.0.0.5:5052', zone: undefined, position: 5, isWhole: true },
      { name: 'no\u001bde', address: '10.0.0.6:5052', zone: 'east', position: 2048, isWhole: false },
    ],
  })
  const { report, text } = await why(digest)
  assert.deepEqual(report.peers?.owner, { name: 'node-5', self: false })
  assert.deepEqual(
    report.peers.holders.map(({ zone, whole }) => [zone, whole]),
    [
      [null, true],
      ['east', false],
    ],
  )
  assert.match(text, /^owner: {4}node-5\npeers: {4}2 of 3 have it, of 4 that were asked\n/m)
  assert.match(text, /^ {10}node-5 at 10\.0\.0\.5:5052\n {10}no\?de at .*, zone east, 2\.0 KiB so far\n/m)
  assert.equal(
    report.next,
    `${digest} is not here: node-5, which owns it among the peers, would be asked whom to take it from, and the registry of the repository in the request only if there is nobody.`,
  )
  assert.match(
    (await why(`alpine@${digest}`)).report.next,
    /^It is not here: node-5, .* from, and mirror\.example\.com, then registry-1\.docker\.io only if there is nobody\.$/,
  )
})

test('a node that owns it says that it asks upstream for all', async () => {
  const digest = digestOf('near')
  const owner = { name: 'node-0', isSelf: true }
  node.held.set(digest, { owner, asked: 1, answered: 1, holders: [] })
  node.owner = owner
  const { report, text } = await why(`alpine@${digest}`)
  assert.match(text, /^owner: {4}this node\npeers: {4}0 of 1 have it\n/m)
  assert.equal(
    report.next,
    'It is not here: this node owns it among its peers, so unless one of them has it mirror.example.com, then registry-1.docker.io would be asked for it, by this node for all.',
  )
  assert.match(
    (await why('alpine:none')).report.next,
    /^The tag is not known here: mirror\.example\.com, then/,
  )
})

test('a tag that a peer owns would be asked of that peer first', async () => {
  node.owner = { name: 'node-5', isSelf: false }
  assert.equal(
    (await why('alpine:none')).report.next,
    'The tag is not known here: node-5 for all its peers, then mirror.example.com, then registry-1.docker.io would be asked for it and for its manifest.',
  )
})

test('the last transfer is told with whom the owner named, and what each gave', async () => {
  publish('flight.started', flightStarted())
  publish('peer.guided', peerGuided())
  publish('peer.taken', peerTransfer({ bytes: 2048, error: new Error('broke at https://u:hunter2@m/') }))
  publish('peer.guided', peerGuided({ course: 'wait', from: undefined }))
  publish('peer.guided', peerGuided({ course: 'take', from: 'no\u001bde' }))
  publish('peer.taken', peerTransfer({ name: 'no\u001bde', bytes: 4096 }))
  const own = { name: 'node-0', isSelf: true }
  publish('peer.guided', peerGuided({ owner: own, course: 'fetch', from: undefined }))
  publish('peer.guided', peerGuided({ course: 'alone', from: undefined }))
  publish('peer.guided', peerGuided({ course: 'end', from: undefined }))
  publish('peer.guided', peerGuided({ course: 'unguided', owner: undefined, from: undefined }))
  publish('flight.ended', flightEnded())
  const { report, text } = await why(digestOf('layer'))
  assert.equal(report.flights[0]?.peers.length, 9)
  assert.ok(!JSON.stringify(report).includes('hunter2'))
  const story = text.split('\n').flatMap((line) => /^ {12}after \d+ms (.*)$/.exec(line)?.[1] ?? [])
  assert.deepEqual(story, [
    'node-5 said: take it from node-3',
    'node-3 had given 2.0 KiB in 30ms, then: broke at https://***@m/',
    'node-5 said: wait',
    'node-5 said: take it from no?de',
    'no?de had given 4.0 KiB in 30ms',
    'this node said: ask upstream, for all who want it',
    'node-5 said: ask upstream, as no peer can help',
    'node-5 said: upstream failed those who asked it',
    'no owner can be reached, so upstream is to be asked',
  ])
})
