import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { ALPINE, digestOf } from '../memory-node.ts'
import {
  flightAttempted,
  flightEnded,
  flightStarted,
  peerInstructed,
  peerTransfer,
  requestEnded,
} from '../sample-events.ts'
import { WhyFixture } from './why-fixture.ts'

const fixture = new WhyFixture()

test('the report on a stored blob names its origin and predicts that a request is served from the store', async () => {
  fixture.node.put('layer')
  fixture.node.seenInRepositories.set(digestOf('layer'), [ALPINE])
  const { report, text } = await fixture.why(digestOf('layer'))
  assert.equal(report.stored?.origin, 'upstream registry-1.docker.io')
  assert.deepEqual(report.seenIn, ['docker.io/library/alpine'])
  assert.equal(report.parts, null)
  assert.equal(report.next, 'A request is served from the store.')
  assert.match(text, /stored: {3}5 B \(blob\), fetched 1h ago from upstream registry-1\.docker\.io/)
  assert.match(text, /seen in: {2}docker\.io\/library\/alpine/)
})

test('the report on a fresh tag has its record and its parts, and predicts no revalidation', async () => {
  fixture.node.tagAs('3.20', fixture.node.putImage(['one', 'two'], ['two']).digest, 20_000)
  const { report, text } = await fixture.why('alpine:3.20')
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
  assert.match(report.next, /^The tag is fresh for another 40s.*a request is served from the store\.$/)
  assert.match(text, /parts: {4}2 of 3 stored/)
  assert.match(text, new RegExp(`^ {10}${digestOf('two')} {2}layer, 3 B: missing$`, 'm'))
})

test('the report on a transfer in progress has its position and the number of waiting requests', async () => {
  fixture.node.activeFlights.push({
    digest: digestOf('layer'),
    kind: 'blob',
    repository: ALPINE,
    startedAt: Date.now() - 3000,
    position: 512,
    size: 1024,
    waiters: 20,
    source: 'registry-1.docker.io',
  })
  const { report, text } = await fixture.why(digestOf('layer'))
  assert.equal(report.flight?.waiters, 20)
  assert.equal(report.next, 'A request joins the transfer in progress, which has 512 B of 1.0 KiB.')
  assert.match(
    text,
    /transfer: 512 B of 1\.0 KiB from registry-1\.docker\.io, started 3s ago, 20 waiting requests/,
  )
})

test('the report has the last requests and flights with their errors, without credentials', async () => {
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
  const { report, text } = await fixture.why(digest)
  assert.equal(report.requests.length, 2)
  assert.equal(report.requests[1]?.cacheStatus, 'leat; fwd=uri-miss; detail=upstream')
  assert.equal(report.flights[0]?.attempts.length, 2)
  assert.match(text, /requests: \d+ms ago: GET docker\.io\/library\/alpine sha256:[0-9a-f]{12} → 502/)
  assert.match(text, /the client disconnected/)
  assert.match(
    text,
    /mirror\.example\.com delivered 1000 B in 30ms, then failed: reset at https:\/\/\*\*\*@m\//,
  )
  assert.ok(!JSON.stringify(report).includes('hunter2'))
})

test('the parts of an index are counted by complete platforms, as in the list of images', async () => {
  const amd = fixture.node.putImage(['amd'])
  const arm = fixture.node.putImage(['arm'], ['arm'])
  const manifests = [
    { ...amd, platform: { os: 'linux', architecture: 'amd64' } },
    { ...arm, platform: { os: 'linux', architecture: 'arm64' } },
    { digest: digestOf('elsewhere'), size: 5, platform: { os: 'windows', architecture: 'amd64' } },
  ]
  const index = fixture.node.put(JSON.stringify({ schemaVersion: 2, manifests }), 'manifest')
  const { report, text } = await fixture.why(index.digest)
  const bytesHere = index.size + amd.size + arm.size + '{}'.length + 'amd'.length
  assert.deepEqual(report.image, { kind: 'index', state: 'whole', platforms: ['linux/amd64'], bytesHere })
  assert.deepEqual(
    report.parts?.map(({ state }) => state),
    ['stored', 'partial', 'missing'],
  )
  assert.match(text, /^parts: {4}complete for linux\/amd64; \d+ B stored, 1 of 3 manifests with all parts$/m)
  assert.match(text, /manifest for linux\/arm64, \d+ B: stored without all its parts$/m)
  assert.doesNotMatch(text, /windows/)
})

test('an index without a complete platform says so, and names what is missing', async () => {
  const manifests = [
    { digest: digestOf('elsewhere'), size: 5, platform: { os: 'linux', architecture: 's390x' } },
  ]
  const index = fixture.node.put(JSON.stringify({ schemaVersion: 2, manifests }), 'manifest')
  const { report, text } = await fixture.why(index.digest)
  assert.equal(report.image?.state, 'partial')
  assert.match(text, /^parts: {4}no platform is complete; \d+ B stored, 0 of 1 manifest with all parts$/m)
  assert.match(text, /manifest for linux\/s390x, 5 B: missing$/m)
})

test('the report names the files with credentials of its registry that cannot be read, and no others', async () => {
  fixture.node.files.set('docker.io', ['/run/hub'])
  fixture.node.files.set('ghcr.io', ['/run/ghcr'])
  publish('file.checked', { file: '/run/hub', problem: '/run/hub cannot be read: EACCES' })
  publish('file.checked', { file: '/run/ghcr', problem: '/run/ghcr is empty; expected a password' })
  const { report, text } = await fixture.why('alpine:3.20')
  assert.deepEqual(report.problems, ['/run/hub cannot be read: EACCES; its last good content is used'])
  assert.match(text, /^problem: {2}\/run\/hub cannot be read: EACCES; its last good content is used$/m)
  publish('file.checked', { file: '/run/hub', problem: undefined })
  assert.deepEqual((await fixture.why('alpine:3.20')).report.problems, [])
})

test('the report on a digest alone names the credentials of the registries in which it was seen', async () => {
  fixture.node.files.set('docker.io', ['/run/hub'])
  fixture.node.put('layer')
  publish('file.checked', { file: '/run/hub', problem: '/run/hub cannot be read: EACCES' })
  assert.deepEqual((await fixture.why(digestOf('layer'))).report.problems, [])
  fixture.node.seenInRepositories.set(digestOf('layer'), [ALPINE, ALPINE])
  assert.equal((await fixture.why(digestOf('layer'))).report.problems.length, 1)
})

test('the report remembers wrong bytes, and names the files that are in the quarantine', async () => {
  const digest = digestOf('layer')
  publish('verify.failed', { digest, found: '3 bytes instead of 5', source: 'disk', sourceKind: 'disk' })
  const found = digestOf('other')
  publish('verify.failed', { digest, found, source: 'mirror.example.com', sourceKind: 'upstream' })
  publish('verify.failed', { digest: found, found: digest, source: 'disk', sourceKind: 'disk' })
  fixture.node.quarantinedFiles.set(digest, [
    { at: Date.now() - 60_000, path: '/data/quarantine/a', bytes: 3 },
  ])
  const { report, text } = await fixture.why(digest)
  assert.deepEqual(
    report.corrupt.map(({ source }) => source),
    ['mirror.example.com', 'disk'],
  )
  assert.match(
    text,
    new RegExp(`^corrupt: {2}0ms ago: wrong bytes from mirror\\.example\\.com \\(${found}\\)$`, 'm'),
  )
  assert.match(text, /^ {10}0ms ago: wrong bytes in the store \(3 bytes instead of 5\)$/m)
  assert.match(text, /^ {10}1m ago: 3 B moved to \/data\/quarantine\/a$/m)
})

test('the report lists at most 200 parts of a manifest and counts the others', async () => {
  const layers = Array.from({ length: 500 }, (_, i) => `layer ${i}`)
  const { report } = await fixture.why(fixture.node.putImage(layers).digest)
  assert.equal(report.parts?.length, 200)
  assert.equal(report.partsLeftOut, 301)
})

test('the report names the owner of a digest and the peers that have it, and predicts that they come before upstream', async () => {
  const digest = digestOf('far')
  fixture.node.availability.set(digest, {
    owner: { name: 'node-5', self: false },
    asked: 4,
    answered: 3,
    holders: [
      { name: 'node-5', address: '10.0.0.5:5052', zone: null, position: 5, whole: true },
      { name: 'no\u001bde', address: '10.0.0.6:5052', zone: 'east', position: 2048, whole: false },
    ],
  })
  const { report, text } = await fixture.why(digest)
  assert.deepEqual(report.peers?.owner, { name: 'node-5', self: false })
  assert.deepEqual(
    report.peers.holders.map(({ zone, whole }) => [zone, whole]),
    [
      [null, true],
      ['east', false],
    ],
  )
  assert.match(text, /^owner: {4}node-5\npeers: {4}2 of 3 have it \(1 of 4 did not answer\)\n/m)
  assert.match(text, /^ {10}node-5 at 10\.0\.0\.5:5052\n {10}no\?de at .*, zone east, 2\.0 KiB so far\n/m)
  assert.equal(
    report.next,
    `${digest} is not stored: the owner node-5 names the peer to download it from, or the registry named in the request if no peer has it.`,
  )
  assert.match(
    (await fixture.why(`alpine@${digest}`)).report.next,
    /^It is not stored: the owner node-5 .* from, or mirror\.example\.com, then registry-1\.docker\.io if no peer has it\.$/,
  )
})

test('the report on a flight has the instructions of the owner and what each peer delivered', async () => {
  publish('flight.started', flightStarted())
  publish('peer.instructed', peerInstructed())
  publish('peer.taken', peerTransfer({ bytes: 2048, error: new Error('broke at https://u:hunter2@m/') }))
  publish('peer.instructed', peerInstructed({ instruction: 'wait', from: undefined }))
  publish('peer.instructed', peerInstructed({ instruction: 'take', from: 'no\u001bde' }))
  publish('peer.taken', peerTransfer({ name: 'no\u001bde', bytes: 4096 }))
  const own = { name: 'node-0', self: true }
  publish('peer.instructed', peerInstructed({ owner: own, instruction: 'fetch', from: undefined }))
  publish('peer.instructed', peerInstructed({ instruction: 'alone', from: undefined }))
  publish('peer.instructed', peerInstructed({ instruction: 'end', from: undefined }))
  publish('peer.instructed', peerInstructed({ instruction: 'unguided', owner: undefined, from: undefined }))
  publish('flight.ended', flightEnded())
  const { report, text } = await fixture.why(digestOf('layer'))
  assert.equal(report.flights[0]?.peers.length, 9)
  assert.ok(!JSON.stringify(report).includes('hunter2'))
  const steps = text.split('\n').flatMap((line) => /^ {12}after \d+ms (.*)$/.exec(line)?.[1] ?? [])
  assert.deepEqual(steps, [
    'instruction from node-5: download from node-3',
    'received 2.0 KiB from node-3 in 30ms, then failed: broke at https://***@m/',
    'instruction from node-5: wait',
    'instruction from node-5: download from no?de',
    'received 4.0 KiB from no?de in 30ms',
    'instruction from this node: fetch from upstream for all peers',
    'instruction from node-5: fetch from upstream for this node alone, as no peer can help',
    'instruction from node-5: upstream failed the peers that asked it',
    'no owner can be reached, so this node asks upstream itself',
  ])
})
