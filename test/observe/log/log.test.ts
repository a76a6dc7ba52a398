import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { type Log, startLog } from '../../../src/observe/log/log.ts'
import { ALPINE, digestOf } from '../memory-node.ts'
import {
  flightAttempted,
  flightEnded,
  flightStarted,
  peerInstructed,
  peerTransfer,
  requestEnded,
} from '../sample-events.ts'

type Line = Record<string, unknown>

function linesLogged(level: Parameters<typeof startLog>[0]['level'], act: (log: Log) => void): Line[] {
  const lines: string[] = []
  const log = startLog({ level, stream: { write: (line: string) => lines.push(line) } })
  try {
    act(log)
  } finally {
    log.close()
  }
  return lines.map((line) => {
    assert.ok(line.endsWith('\n') && line.indexOf('\n') === line.length - 1, 'each event is one line')
    return JSON.parse(line) as Line
  })
}

test('a request is logged at debug and not at info', () => {
  const act = (): void => publish('request.ended', requestEnded())
  assert.equal(linesLogged('info', act).length, 0)
  const [line] = linesLogged('debug', act)
  assert.equal(line?.['level'], 'debug')
  assert.equal(line['message'], 'request')
  assert.equal(line['repository'], 'docker.io/library/alpine')
  assert.equal(line['code'], 200)
  assert.equal(line['cacheStatus'], 'leat; hit')
  assert.match(String(line['time']), /^\d{4}-\d\d-\d\dT/)
})

test('a flight is one line at info, or at warn when it failed', () => {
  const [stored, ...rest] = linesLogged('info', () => {
    publish('flight.started', flightStarted())
    publish('flight.attempted', flightAttempted())
    publish('flight.ended', flightEnded())
  })
  assert.deepEqual(rest, [])
  assert.equal(stored?.['level'], 'info')
  assert.equal(stored['size'], 1000)
  assert.equal(stored['source'], 'registry-1.docker.io')
  const [failed] = linesLogged('info', () => {
    publish(
      'flight.ended',
      flightEnded({ error: new Error('no source has it', { cause: new Error('ECONNRESET') }) }),
    )
  })
  assert.equal(failed?.['level'], 'warn')
  assert.equal(failed['error'], 'no source has it: ECONNRESET')
})

test('problems are logged at warn, a quota is not', () => {
  const lines = linesLogged('warn', () => {
    publish('verify.failed', { digest: digestOf('a'), found: 'x', source: 'ghcr.io', sourceKind: 'upstream' })
    publish('upstream.circuit', { host: 'ghcr.io', open: true, reason: '503' })
    publish('upstream.quota', { host: 'ghcr.io', limit: 200, remaining: 1, windowSeconds: 21600 })
    publish('tag.revalidated', { repository: ALPINE, tag: 'latest', outcome: 'stale-if-error' })
    publish('tag.revalidated', { repository: ALPINE, tag: 'latest', outcome: 'same' })
    publish('store.repaired', { folder: '/x', how: 'repaired', reason: 'torn' })
    publish('store.recovered', { blobs: 1, bytes: 1, adopted: 1, dropped: 0, partials: 0, ms: 1 })
    publish('store.recovered', { blobs: 1, bytes: 1, adopted: 0, dropped: 0, partials: 0, ms: 1 })
  })
  assert.equal(lines.length, 5)
})

test('an image of a local source that is not served is a warning with both digests', () => {
  const [digest, servedDigest] = [digestOf('hidden'), digestOf('served')]
  const event = { source: 'dir /b', image: 'docker.io/acme/app:v1', digest, servedBy: 'dir /a', servedDigest }
  const [line] = linesLogged('warn', () => publish('source.hidden', event))
  assert.equal(line?.['level'], 'warn')
  for (const [name, value] of Object.entries(event)) assert.equal(line[name], value)
})

test('level silent logs nothing, and neither does a closed log', () => {
  const act = (): void => publish('flight.ended', flightEnded({ error: new Error('x') }))
  assert.deepEqual(linesLogged('silent', act), [])
  const lines: string[] = []
  startLog({ level: 'trace', stream: { write: (line: string) => lines.push(line) } }).close()
  act()
  assert.deepEqual(lines, [])
})

test('credentials in messages, in properties of errors and in fields never get into the log', () => {
  class Refused extends Error {
    readonly headers = { authorization: 'Bearer hunter2hunter2' }
    readonly options = { auth: 'aaa:hunter2' }
    readonly password = 'hunter2'
  }
  const error = new Refused('https://aaa:hunter2@ghcr.io/token?password=hunter2 answered 401', {
    cause: new Refused('sent Authorization: Basic aaahunter2bbb'),
  })
  const lines = linesLogged('trace', (log) => {
    publish('request.ended', requestEnded({ error: error.message, reference: 'latest' }))
    publish('flight.attempted', flightAttempted({ error }))
    publish('flight.ended', flightEnded({ error }))
    publish('upstream.circuit', { host: 'ghcr.io', open: true, reason: error.message })
    log.warn(error.message, { password: 'hunter2', nested: { token: 'hunter2', authorization: 'hunter2' } })
    log.info('hello', { headers: { 'x-key': 'hunter2' } })
  })
  assert.equal(lines.length, 7)
  for (const line of lines) assert.ok(!JSON.stringify(line).includes('hunter2'), JSON.stringify(line))
})

test('a newline in a name from outside cannot begin another log line', () => {
  const lines = linesLogged('debug', () => {
    publish('request.ended', requestEnded({ reference: 'x\n{"level":"fatal","message":"forged"}' }))
  })
  assert.equal(lines.length, 1)
})

test('joining and leaving peers are logged at info, transfers between peers at debug', () => {
  const act = (): void => {
    const joined = { id: 'f00d', name: 'node-3', address: 'a:1', zone: 'z', version: '1' }
    publish('peer.joined', { ...joined, understood: true })
    publish('peer.served', peerTransfer({ error: new Error('at https://u:hunter2@m/') }))
    publish('peer.taken', peerTransfer())
    publish('peer.instructed', peerInstructed())
    publish('flight.attempted', flightAttempted({ sourceKind: 'peer', error: new Error('none has it') }))
    publish('peer.left', { id: 'f00d', name: 'node-3', zone: 'z', reason: 'left' })
  }
  const messages = (lines: Line[]): unknown[] => lines.map(({ message }) => message)
  assert.deepEqual(messages(linesLogged('info', act)), ['peer joined', 'peer left'])
  const lines = linesLogged('debug', act)
  assert.deepEqual(messages(lines), [
    'peer joined',
    'sent to peer',
    'received from peer',
    'instruction of the owner',
    'source failed',
    'peer left',
  ])
  assert.equal(lines[1]?.['name'], 'node-3')
  assert.ok(!JSON.stringify(lines).includes('hunter2'))
})
