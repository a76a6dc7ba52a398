import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type ConnectionLimitOptions,
  ConnectionLimits,
} from '../../../../src/peers/wire/connection/connection-limits.ts'
import { closed, receivedUntilClosed } from '../../../../testkit/peer-lab.ts'
import { assertServesMembers, plainSocket, recordingServer, until } from '../recording-server.ts'

const LIMITS: ConnectionLimitOptions = {
  maxConnections: 1000,
  maxPerAddress: 1000,
  maxUnauthenticated: 1000,
  maxUnauthenticatedPerAddress: 1000,
  maxFailures: 3,
  failureWindowMs: 1000,
}

function limitsWith(changes: Partial<ConnectionLimitOptions>, now = () => 0): ConnectionLimits {
  return new ConnectionLimits({ ...LIMITS, ...changes }, now)
}

const NO_CERTIFICATE = { key: undefined, cert: undefined } as never

test('connections beyond the limit are refused until one is closed', () => {
  const limits = limitsWith({ maxConnections: 2 })
  const first = limits.admit('10.0.0.1')
  first?.authenticated()
  assert.ok(limits.admit('10.0.0.2'))
  assert.equal(limits.admit('10.0.0.3'), undefined)
  first?.closed()
  assert.ok(limits.admit('10.0.0.3'))
})

test('one address cannot have more than its share of connections', () => {
  const limits = limitsWith({ maxPerAddress: 2 })
  limits.admit('10.0.0.1')?.authenticated()
  limits.admit('::ffff:10.0.0.1')?.authenticated()
  assert.equal(limits.admit('10.0.0.1'), undefined)
  assert.ok(limits.admit('10.0.0.2'))
})

test('all addresses of an IPv6 /64 count as one', () => {
  const limits = limitsWith({ maxPerAddress: 1 })
  assert.ok(limits.admit('fd00:1:2:3::1'))
  assert.equal(limits.admit('fd00:1:2:3:ffff:2:3:4'), undefined)
  assert.equal(limits.admit('fd00:1:2:3:5::'), undefined)
  assert.ok(limits.admit('fd00:1:2:4::1'))
  assert.ok(limits.admit('::1'))
  assert.equal(limits.admit('::2'), undefined)
})

test('an address may have few unauthenticated connections', () => {
  const limits = limitsWith({ maxUnauthenticatedPerAddress: 1 })
  const first = limits.admit('10.0.0.1')
  assert.equal(limits.admit('10.0.0.1'), undefined)
  assert.ok(limits.admit('10.0.0.2'))
  first?.authenticated()
  assert.ok(limits.admit('10.0.0.1'))
})

test('beyond the limit of unauthenticated connections, the address with the most loses its oldest one', () => {
  const limits = limitsWith({ maxUnauthenticated: 4 })
  const evicted: string[] = []
  const admit = (from: string, name: string) => limits.admit(from, () => evicted.push(name))
  const early = admit('10.0.0.1', 'early')
  for (const name of ['a', 'b', 'c']) admit('10.0.0.2', name)
  assert.ok(admit('10.0.0.3', 'new'))
  assert.deepEqual(evicted, ['a'])
  assert.equal(admit('10.0.0.2', 'd'), undefined)
  assert.ok(admit('10.0.0.4', 'newer'))
  assert.deepEqual(evicted, ['a', 'b'])
  // When all addresses have one, the oldest connection is evicted.
  assert.ok(admit('10.0.0.5', 'newest'))
  assert.deepEqual(evicted, ['a', 'b', 'early'])
  early?.closed()
  assert.equal(admit('10.0.0.2', 'e'), undefined)
})

test('an address that also has members may fail more often, but not without limit', () => {
  const limits = limitsWith({})
  limits.admit('10.0.0.1')?.authenticated()
  let failures = 0
  for (;;) {
    const connection = limits.admit('10.0.0.1')
    if (connection === undefined) break
    connection.closed()
    failures += 1
  }
  assert.equal(failures, 24)
})

test('an address with only failed handshakes is refused for a while', () => {
  let now = 0
  const limits = limitsWith({}, () => now)
  for (let n = 0; n < 3; n += 1) limits.admit('10.0.0.1')?.closed()
  assert.equal(limits.admit('10.0.0.1'), undefined)
  const other = limits.admit('10.0.0.2')
  assert.ok(other)
  now = 1000
  assert.ok(limits.admit('10.0.0.1'))
})

test('closing an authenticated connection is not a failure', () => {
  const limits = limitsWith({})
  for (let n = 0; n < 100; n += 1) {
    const connection = limits.admit('10.0.0.1')
    connection?.authenticated()
    connection?.closed()
  }
  assert.ok(limits.admit('10.0.0.1'))
})

test('a flood of connections from one address does not keep members out', async (t) => {
  const lab = await recordingServer(t, { maxUnauthenticatedPerAddress: 8, handshakeMs: 60_000 })
  const flood = Array.from({ length: 200 }, () => plainSocket(t, lab.port, '127.0.0.9'))
  let gone = 0
  for (const socket of flood) {
    void closed(socket).then(() => {
      gone += 1
    })
  }
  await until(() => gone >= 192)
  await assertServesMembers(lab)
  assert.equal(gone, 192)
})

test('a flood of connections from many addresses does not keep members out', async (t) => {
  const lab = await recordingServer(t, {
    maxUnauthenticated: 32,
    maxUnauthenticatedPerAddress: 8,
    handshakeMs: 60_000,
  })
  const flood = Array.from({ length: 30 }, (_, n) =>
    Array.from({ length: 8 }, () => plainSocket(t, lab.port, `127.0.1.${n + 1}`)),
  ).flat()
  let gone = 0
  for (const socket of flood) void closed(socket).then(() => (gone += 1))
  await until(() => gone >= flood.length - 32)
  await assertServesMembers(lab)
  assert.ok(gone <= flood.length - 30, `${gone} of ${flood.length} were closed`)
})

test('an address with many failed handshakes is refused before the handshake', async (t) => {
  const lab = await recordingServer(t, { maxFailures: 3, failureWindowMs: 60_000 })
  for (let n = 0; n < 3; n += 1) {
    await receivedUntilClosed(lab.connect(NO_CERTIFICATE, { localAddress: '127.0.0.9' }))
  }
  // The server may not have noticed yet that the last connection was closed.
  for (let isRefused = false; !isRefused; ) {
    const socket = plainSocket(t, lab.port, '127.0.0.9')
    isRefused = await Promise.race([closed(socket).then(() => true), delay(500, false)])
    socket.destroy()
  }
  await assertServesMembers(lab)
})

test('connections beyond maxConnections are refused', async (t) => {
  const lab = await recordingServer(t, { maxConnections: 2 })
  const first = lab.connect()
  await once(first, 'secureConnect')
  const second = lab.connect()
  await once(second, 'secureConnect')
  await receivedUntilClosed(lab.connect())
  first.destroy()
  await closed(first)
  assert.equal(second.readyState, 'open')
})
