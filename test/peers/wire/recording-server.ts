import assert from 'node:assert/strict'
import { connect as connectPlain, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { PeerServerLimits } from '../../../src/peers/wire/peer-server.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { type PeerLab, peerLab } from '../../../testkit/peer-lab.ts'

export interface RecordingServer extends PeerLab {
  readonly requests: unknown[]
  readonly paths: string[]
}

/** A peer server that records the requests which reach it. */
export async function recordingServer(
  t: TestContext,
  serverLimits: Partial<PeerServerLimits> = {},
): Promise<RecordingServer> {
  const requests: unknown[] = []
  const paths: string[] = []
  const lab = await peerLab(t, {
    serverLimits,
    onExchange: async (request, exchange) => {
      requests.push(request)
      exchange.send({ secret: 'something' })
    },
    onContent: async ({ request: { repository, digest } }) => {
      paths.push(`${repository.registry}/${repository.name}@${digest}`)
      throw new Failure('absent', 'something')
    },
  })
  return { ...lab, requests, paths }
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

/** Checks that a member still gets answers. A test with short deadlines allows it several tries. */
export async function assertServesMembers(lab: RecordingServer, tries = 1): Promise<void> {
  const found = await lab.request({ ask: 'hello' }).catch((error: unknown) => {
    if (tries === 1) throw error
  })
  if (found === undefined) return assertServesMembers(lab, tries - 1)
  const { answer, exchange } = found
  assert.deepEqual(answer, { secret: 'something' })
  assert.deepEqual(lab.requests, [{ ask: 'hello' }])
  exchange.end()
  await assert.rejects(lab.download(new MemoryIntake()), { code: 'absent', message: 'answerer: something' })
}
