import { idleConnections } from '../../testkit/attacks/kinds/idle.ts'
import { within } from '../../testkit/deadline.ts'
import { RawHttp2 } from '../../testkit/raw-http/raw-http2.ts'
import { testBoth, withstands } from './attacked-door.ts'

const LIMITS = { maxConnections: 64 }

const WHAT = {
  silent: 'have sent nothing',
  half: 'have sent half a request',
  kept: 'are kept after a request',
  preface: 'have sent a part of the preface of HTTP/2',
  settings: 'have opened HTTP/2 and ask for nothing',
} as const

for (const idle of ['silent', 'half', 'kept', 'preface', 'settings'] as const) {
  testBoth(`as many connections as there may be that ${WHAT[idle]} keep nobody out`, LIMITS, async (door) => {
    await withstands(door, (options) => idleConnections(door, { ...options, idle, connections: 96 }))
  })
}

testBoth('a connection of HTTP/2 is closed when its client has nothing more to send', {}, async (door) => {
  const { socket } = await RawHttp2.open(door)
  try {
    socket.halfClose()
    await within(60_000, 'the end of the connection', socket.ended)
  } finally {
    socket.close()
  }
})
