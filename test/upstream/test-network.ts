import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { createServer } from 'node:net'
import type { TestContext } from 'node:test'
import type { Lookup } from '../../src/upstream/options/scoped-lookup.ts'

export interface Listener {
  readonly port: number
  readonly connectionCount: () => number
}

export async function listener(t: TestContext): Promise<Listener> {
  let connectionCount = 0
  const server = createServer((socket) => {
    connectionCount += 1
    socket.destroy()
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => server.close())
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return { port: address.port, connectionCount: () => connectionCount }
}

/** A DNS resolver that answers each look-up with the next list of addresses, and all later ones with the last. */
export function resolverWith(...answers: readonly (readonly string[])[]): {
  lookup: Lookup
  asked: () => number
} {
  let asked = 0
  const lookup: Lookup = (_hostname, _options, callback) => {
    const answer = answers[Math.min(asked, answers.length - 1)] ?? []
    asked += 1
    const found = answer.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }))
    // The look-up is answered before any timer, so that no connection deadline passes first.
    process.nextTick(() => callback(null, found))
  }
  return { lookup, asked: () => asked }
}
