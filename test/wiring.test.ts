import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { CleanupStack } from '../src/lib/async/cleanup-stack.ts'
import type { AgentState } from '../src/node-view.ts'
import { type AgentParts, wireAgent } from '../src/wiring.ts'
import { addCleanup } from '../testkit/cleanup.ts'
import { sha256 } from '../testkit/registries/faulty/content.ts'
import { folder } from './store/folder.ts'

const ANY_PORT = { host: '127.0.0.1', port: 0 }
const STATE: AgentState = {
  startedAt: 0,
  isStopping: () => false,
  addresses: () => ({ registry: undefined, admin: undefined, metrics: undefined }),
}

async function wire(t: TestContext): Promise<{ parts: AgentParts; cleanup: CleanupStack }> {
  const data = await folder(t)
  const secretFile = join(data, 'secret')
  await writeFile(secretFile, 'a secret that is long enough to be one', { mode: 0o600 })
  const cleanup = new CleanupStack()
  const peers = { secretFile, listen: ANY_PORT, dht: ANY_PORT, advertise: '127.0.0.1' }
  const options = { data: join(data, 'leat'), listen: ANY_PORT, admin: ANY_PORT, peers }
  const parts = await wireAgent(options, STATE, cleanup)
  return { parts, cleanup }
}

/** Notes the names of these methods in the order in which their calls end. */
function noteEnds<Part extends object>(
  part: Part,
  method: keyof Part & string,
  name: string,
  ended: string[],
) {
  const original = part[method] as (...given: unknown[]) => unknown
  const noting = async (...given: unknown[]): Promise<unknown> => {
    const result = await original.apply(part, given)
    ended.push(name)
    return result
  }
  Object.defineProperty(part, method, { value: noting })
}

describe('an agent that stops', () => {
  it('ends flights, upstreams and peers before it closes the store that they write to', async (t) => {
    const { parts, cleanup } = await wire(t)
    const { store, upstreams, peers, resolver, warming, registryServer } = parts
    const ended: string[] = []
    noteEnds(store, 'close', 'store', ended)
    noteEnds(upstreams, 'close', 'upstreams', ended)
    noteEnds(peers ?? assert.fail('the agent has peers'), 'close', 'peers', ended)
    noteEnds(resolver.flights, 'stop', 'flights', ended)
    noteEnds(warming, 'stop', 'warming', ended)
    noteEnds(registryServer, 'drain', 'registry API', ended)
    await cleanup.run({ drainMs: 0 })
    assert.deepEqual(
      [...new Set(ended)],
      ['warming', 'registry API', 'flights', 'upstreams', 'peers', 'store'],
    )
  })
})

describe('the parts of an agent that has not joined its peers', () => {
  it('have a peer client that knows no members, and no peer transfers', async (t) => {
    const { parts, cleanup } = await wire(t)
    addCleanup(t, () => cleanup.run({ drainMs: 0 }))
    const peers = parts.peers ?? assert.fail('the agent has peers')
    const repository = { registry: 'up.test', name: 'app' }
    assert.equal(peers.createTransfer({ kind: 'blob', digest: sha256('content'), repository }), undefined)
    assert.deepEqual(peers.client.warmTargets().others, [])
  })

  it('free the port of the peer server when they end', async (t) => {
    const { parts, cleanup } = await wire(t)
    const { host, port } = parts.peers?.self ?? assert.fail('the agent has peers')
    await cleanup.run({ drainMs: 0 })
    await assert.rejects(once(connect(port, host), 'connect'), { code: 'ECONNREFUSED' })
  })
})
