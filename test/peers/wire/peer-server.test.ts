import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Line } from '../../../src/peers/wire/exchange.ts'
import { messageFrame, overFrame, putBytesHead } from '../../../src/peers/wire/frames.ts'
import { makeAuthority } from '../../../testkit/certificates.ts'
import {
  closeOf,
  failure,
  heardBy,
  issue,
  type PeerLab,
  peerLab,
  unending,
} from '../../../testkit/peer-lab.ts'

const signal = unending()
const wait = { signal, ms: 60_000 }
const NOBODY = { key: undefined, cert: undefined } as never

/** A door at which nobody is expected to get as far as to ask. */
async function guarded(t: TestContext, door: object = {}): Promise<PeerLab & { asked: unknown[] }> {
  const asked: unknown[] = []
  const lab = await peerLab(t, {
    door,
    onExchange: async (first, line) => {
      asked.push(first)
      line.send({ secret: 'something' })
    },
  })
  return { ...lab, asked }
}

function plain(t: TestContext, port: number, from = '127.0.0.1'): Socket {
  const socket = connectPlain({ port, host: '127.0.0.1', localAddress: from })
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  return socket
}

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setImmediate(resolve))
}

/** Shows that those who belong here still get in: where the door waits only for a moment, after some tries. */
async function stillOpen(lab: PeerLab & { asked: unknown[] }, tries = 1): Promise<void> {
  const { ask, asked } = lab
  const found = await ask({ ask: 'open?' }).catch((error: unknown) => {
    if (tries === 1) throw error
  })
  if (found === undefined) return stillOpen(lab, tries - 1)
  const { answer, line } = found
  assert.deepEqual(answer, { secret: 'something' })
  assert.deepEqual(asked, [{ ask: 'open?' }])
  line.end()
}

test('who has no certificate is told nothing', async (t) => {
  const lab = await guarded(t)
  const socket = lab.speak(NOBODY)
  socket.write(messageFrame({ ask: 'has' }))
  assert.equal((await heardBy(socket)).length, 0)
  await stillOpen(lab)
})

test('who has a certificate of another swarm is told nothing', async (t) => {
  const lab = await guarded(t)
  const stranger = issue(makeAuthority())
  const socket = lab.speak({ ...stranger, ca: [lab.authority.ca] })
  socket.write(messageFrame({ ask: 'has' }))
  assert.equal((await heardBy(socket)).length, 0)
  await stillOpen(lab)
})

test('a stranger who goes on with the session of before is told nothing either', async (t) => {
  const lab = await guarded(t)
  const stranger = { ...issue(makeAuthority()), ca: [lab.authority.ca] }
  const sessions: Buffer[] = []
  const first = lab.speak(stranger)
  first.on('session', (session) => sessions.push(session))
  await heardBy(first)
  // OpenSSL may give it one: for it a handshake is done before the certificate is judged here.
  for (const session of sessions) {
    const again = lab.speak(stranger, { session })
    again.write(messageFrame({ ask: 'has' }))
    assert.equal((await heardBy(again)).length, 0)
  }
  await stillOpen(lab)
})

test('nothing older than TLS 1.3 is spoken', async (t) => {
  const lab = await guarded(t)
  const socket = lab.speak(lab.asking, { maxVersion: 'TLSv1.2' })
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  assert.match(String(error.code), /PROTOCOL_VERSION/)
  await stillOpen(lab)
})

for (const [what, text] of [
  ['HTTP', 'GET /v2/ HTTP/1.1\r\nHost: here\r\n\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['noise', '\x00\xff\x10'.repeat(1000)],
  ['a TLS record that promises much', '\x16\x03\x01\xff\xff'.padEnd(70_000, '\x01')],
] as const) {
  test(`who speaks ${what} hears no more than that this is not understood`, async (t) => {
    const lab = await guarded(t)
    const socket = plain(t, lab.port)
    socket.write(text, 'latin1')
    const heard = await heardBy(socket)
    // At most a TLS alert, which has a type of 21 and two bytes.
    assert.ok(heard.length === 0 || (heard.length === 7 && heard[0] === 21), heard.toString('latin1'))
    await stillOpen(lab)
  })
}

test('who says nothing, or not enough, is not waited for', async (t) => {
  const lab = await guarded(t, { handshakeMs: 100 })
  const silent = plain(t, lab.port)
  const slow = plain(t, lab.port)
  slow.write(Buffer.from([0x16, 3, 1]))
  const half = plain(t, lab.port)
  half.end()
  const heard = await Promise.all([silent, slow, half].map(heardBy))
  assert.deepEqual(
    heard.map(({ length }) => length),
    [0, 0, 0],
  )
  await stillOpen(lab, 20)
})

test('a flood of connections from one address takes nothing from others', async (t) => {
  const lab = await guarded(t, { maxUnknownPerAddress: 8, handshakeMs: 60_000 })
  const flood = Array.from({ length: 200 }, () => plain(t, lab.port, '127.0.0.9'))
  let gone = 0
  for (const socket of flood) {
    void closeOf(socket).then(() => {
      gone += 1
    })
  }
  await until(() => gone >= 192)
  await stillOpen(lab)
  assert.equal(gone, 192)
})

test('a flood of connections from many addresses keeps no member out', async (t) => {
  const lab = await guarded(t, { maxUnknown: 32, maxUnknownPerAddress: 8, handshakeMs: 60_000 })
  const flood = Array.from({ length: 30 }, (_, n) =>
    Array.from({ length: 8 }, () => plain(t, lab.port, `127.0.1.${n + 1}`)),
  ).flat()
  let gone = 0
  for (const socket of flood) void closeOf(socket).then(() => (gone += 1))
  await until(() => gone >= flood.length - 32)
  await stillOpen(lab)
  assert.ok(gone <= flood.length - 30, `${gone} of ${flood.length} were sent away`)
})

test('what a member has said is of no use to one who repeats it', async (t) => {
  const lab = await guarded(t)
  const said: Buffer[] = []
  const relay = createServer((near) => {
    const far = plain(t, lab.port)
    near.on('data', (bytes: Buffer) => said.push(bytes)).pipe(far)
    far.pipe(near)
    near.on('error', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await once(relay.listen(0, '127.0.0.1'), 'listening')
  t.after(() => relay.close())
  const member = lab.speak(lab.asking, { port: (relay.address() as AddressInfo).port })
  member.write(messageFrame({ ask: 'open?' }))
  await once(member, 'data')
  member.destroy()
  assert.equal(lab.asked.length, 1)
  const repeating = plain(t, lab.port)
  repeating.write(Buffer.concat(said))
  const heard = await heardBy(repeating)
  // What the door shows anybody: its part of a handshake, that it asks for a certificate, and an alert.
  assert.ok(!heard.includes('something') && heard.length < 4096)
  assert.equal(lab.asked.length, 1)
})

test('an address of which only strangers come is not even shaken hands with', async (t) => {
  const lab = await guarded(t, { maxStrangers: 3, strangerMs: 60_000 })
  for (let n = 0; n < 3; n += 1) {
    await heardBy(lab.speak(NOBODY, { localAddress: '127.0.0.9' }))
  }
  // The door may not have seen yet that the last of them has gone.
  for (let isRefused = false; !isRefused; ) {
    const socket = plain(t, lab.port, '127.0.0.9')
    isRefused = await Promise.race([closeOf(socket).then(() => true), delay(500, false)])
    socket.destroy()
  }
  await stillOpen(lab)
})

test('members together have no more connections than there may be', async (t) => {
  const lab = await guarded(t, { maxConnections: 2 })
  const first = lab.speak()
  await once(first, 'secureConnect')
  const second = lab.speak()
  await once(second, 'secureConnect')
  await heardBy(lab.speak())
  first.destroy()
  await closeOf(first)
  assert.equal(second.readyState, 'open')
})

for (const [what, bytes] of [
  ['a message that is too long', Buffer.from([0, 1, 0, 1, 0])],
  ['something of an unknown kind', Buffer.from([0, 0, 0, 1, 9, 1])],
  ['a message that is not JSON', Buffer.from([0, 0, 0, 1, 0, 0x7b])],
  ['content that nobody asked for', Buffer.from([0, 0, 0, 1, 1, 1])],
  ['an end before the beginning', overFrame()],
] as const) {
  test(`a member that sends ${what} is sent away`, async (t) => {
    const lab = await guarded(t, { firstMs: 60_000 })
    const socket = lab.speak()
    socket.write(bytes)
    assert.equal((await heardBy(socket)).length, 0)
    await stillOpen(lab)
  })
}

test('a member that asks nothing is sent away', async (t) => {
  const lab = await guarded(t, { firstMs: 100 })
  const silent = lab.speak()
  const slow = lab.speak()
  slow.write(Buffer.from([0, 0, 0, 9, 0, 0x7b]))
  assert.deepEqual((await Promise.all([heardBy(silent), heardBy(slow)])).map(String), ['', ''])
})

test('a connection that is not used any more is closed', async (t) => {
  const lab = await guarded(t, { idleMs: 100 })
  const socket = lab.speak()
  socket.write(Buffer.concat([messageFrame({ ask: 'open?' }), overFrame()]))
  const heard = await heardBy(socket)
  assert.deepEqual(heard, Buffer.concat([messageFrame({ secret: 'something' }), overFrame()]))
})

test('the next exchange may follow at once on the end of the one before', async (t) => {
  const lab = await guarded(t, { idleMs: 100 })
  const socket = lab.speak()
  socket.write(messageFrame({ n: 1 }))
  await until(() => lab.asked.length === 1)
  socket.write(Buffer.concat([overFrame(), messageFrame({ n: 2 }), overFrame()]))
  const one = Buffer.concat([messageFrame({ secret: 'something' }), overFrame()])
  assert.deepEqual(await heardBy(socket), Buffer.concat([one, one]))
  assert.deepEqual(lab.asked, [{ n: 1 }, { n: 2 }])
})

test('a member that goes on after its own end is sent away', async (t) => {
  let ended: Promise<unknown> | undefined
  const lab = await peerLab(t, {
    onExchange: async (_first, line) => {
      ended = line.receive(wait)
      await ended
      if (!line.gone.aborted) await once(line.gone, 'abort')
    },
  })
  const socket = lab.speak()
  socket.write(Buffer.concat([messageFrame({}), overFrame(), messageFrame({})]))
  await heardBy(socket)
  assert.equal(await ended, undefined)
})

test('a member that does not end an exchange is not waited for', async (t) => {
  const { speak } = await peerLab(t, { traffic: { lingerMs: 100 }, onExchange: async () => {} })
  const socket = speak()
  socket.write(messageFrame({}))
  assert.deepEqual(await heardBy(socket), overFrame())
})

test('bytes that come long after their head hold nothing but their own connection', async (t) => {
  let failed: unknown
  const { speak } = await peerLab(t, {
    onExchange: async (_first, line) => {
      await line.receive({ signal, ms: 100 }).catch((error: unknown) => {
        failed = error
      })
    },
  })
  const socket = speak()
  const head = Buffer.alloc(5)
  putBytesHead(head, 1000)
  socket.write(Buffer.concat([messageFrame({}), head]))
  await heardBy(socket)
  assert.throws(
    () => {
      throw failed
    },
    failure('unavailable', /content/, 'asker'),
  )
})

test('an exchange that throws ends, and the door goes on', async (t) => {
  let n = 0
  const { ask, dialer } = await peerLab(t, {
    onExchange: async (_first, line) => {
      n += 1
      if (n === 1) throw new Error('a mistake')
      line.send({ n })
    },
  })
  await assert.rejects(ask(), failure('unavailable', /no answer/))
  const { answer, line } = await ask()
  assert.deepEqual(answer, { n: 2 })
  assert.equal(await line.receive(wait), undefined)
  line.end()
  assert.equal(dialer.idle, 1)
})

test('what is being answered ends before the door is closed', async (t) => {
  let finish = () => {}
  const lab = await peerLab(t, {
    onExchange: async (_first, line: Line) => {
      line.send({ n: 1 })
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      line.send({ n: 2 })
    },
  })
  const resting = lab.speak()
  await once(resting, 'secureConnect')
  const { line } = await lab.ask()
  const stopped = lab.door.stop({ drainMs: 60_000 })
  await heardBy(resting)
  const late = plain(t, lab.port)
  await closeOf(late)
  finish()
  assert.deepEqual(await line.receive(wait), { n: 2 })
  assert.equal(await line.receive(wait), undefined)
  line.end()
  await stopped
})

test('what does not end in time is broken off', async (t) => {
  let broken: unknown
  const lab = await peerLab(t, {
    onExchange: async (_first, line: Line) => {
      line.send({ n: 1 })
      await line.receive({ signal, ms: 60_000 }).catch((error: unknown) => {
        broken = error
        throw error
      })
    },
  })
  const { line } = await lab.ask()
  await lab.door.stop({ drainMs: 50 })
  assert.throws(
    () => {
      throw broken
    },
    failure('unavailable', /./, 'asker'),
  )
  await assert.rejects(line.receive(wait), failure('unavailable', /./))
})
