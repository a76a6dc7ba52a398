import { idleConnections } from '../../testkit/attacks/kinds/idle.ts'
import { within } from '../../testkit/deadline.ts'
import { RawHttp2 } from '../../testkit/raw-http/raw-http2.ts'
import { assertWithstands, testPlainAndTls } from './attacked-server.ts'

const LIMITS = { maxConnections: 64 }

const DESCRIPTIONS = {
  silent: 'on which nothing was sent',
  half: 'with half a request',
  kept: 'kept open after a request',
  preface: 'with a part of the HTTP/2 preface',
  settings: 'with HTTP/2 and no request',
} as const

for (const idle of ['silent', 'half', 'kept', 'preface', 'settings'] as const) {
  testPlainAndTls(
    `more idle connections than allowed, ${DESCRIPTIONS[idle]}, do not block other clients`,
    LIMITS,
    async (server) => {
      await assertWithstands(server, (options) =>
        idleConnections(server, { ...options, idle, connections: 96 }),
      )
    },
  )
}

testPlainAndTls(
  'an HTTP/2 connection is closed when its client closes the sending side',
  {},
  async (server) => {
    const { socket } = await RawHttp2.open(server)
    try {
      socket.halfClose()
      await within(60_000, 'the end of the connection', socket.ended)
    } finally {
      socket.close()
    }
  },
)
