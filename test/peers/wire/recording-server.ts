import assert from 'node:assert/strict'
import { connect as connectPlain, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { PeerServerLimits } from '../../../src/peers/wire/peer-server.ts'
import { type PeerLab, peerLab } from '../../../testkit/peer-lab.ts'

/** A peer server that records the requests which reach it. */
export async function recordingServer(
  t: TestContext,
  serverLimits: Partial<PeerServerLimits> = {},
): Promise<PeerLab & { requests: unknown[] }> {
  const requests: unknown[] = []
  const lab = await peerLab(t, {
    serverLimits,
    onExchange: async (request, exchange) => {
      requests.push(request)
      exchange.send({ secret: 'something' })
    },
  })
  return { ...lab, requests }
}

export function plainSocket(t: TestContext, port: number, from = '127.0.0.1'): Socket {
  const socket = connectPlain({ port, host: '127.0.0.1', localAddress: from })
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  return socket
}

export async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setImmediate(resolve))
}

/** Checks that a member still gets an answer. A test with short deadlines allows it several tries. */
export async function assertServesMembers(lab: PeerLab & { requests: unknown[] }, tries = 1): Promise<void> {
  const { request: ask, requests } = lab
  const found = await ask({ ask: 'hello' }).catch((error: unknown) => {
    if (tries === 1) throw error
  })
  if (found === undefined) return assertServesMembers(lab, tries - 1)
  const { answer, exchange } = found
  assert.deepEqual(answer, { secret: 'something' })
  assert.deepEqual(requests, [{ ask: 'hello' }])
  exchange.end()
}
