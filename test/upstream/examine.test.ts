import assert from 'node:assert/strict'
import { test } from 'node:test'
import { examineUpstreams } from '../../src/upstream/examine.ts'
import { listener, resolverWith } from './test-network.ts'

const { signal } = new AbortController()

test('the examination of a registry without an entry follows the same rule', async (t) => {
  const { connectionCount } = await listener(t)
  const { lookup } = resolverWith(['127.0.0.1'])
  const [hub] = await examineUpstreams({ lookup }, { signal })
  assert.equal(hub?.isConfigured, false)
  assert.match(hub?.why ?? '', /only if its settings list them/)
  assert.equal(connectionCount(), 0)
})
