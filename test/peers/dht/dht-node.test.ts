import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DhtNodeOptions, openDhtNode } from '../../../src/peers/dht/dht-node.ts'

const PRIVATE: DhtNodeOptions = {
  listen: { host: '127.0.0.1', port: 0 },
  bootstrap: [],
  advertise: undefined,
  publicDht: false,
}

test('a node without bootstrap nodes contacts no others, not even the public DHT, and knows its own address', async () => {
  const { node, ready } = await openDhtNode(PRIVATE)
  try {
    assert.deepEqual(node.bootstrapNodes, [])
    assert.equal(await ready, node)
    assert.equal(node.host, '127.0.0.1')
  } finally {
    await node.destroy()
  }
})

test('a node whose bootstrap nodes do not answer becomes the first node of the DHT, at the same address', async () => {
  const silent = { host: '127.0.0.1', port: 9 }
  const { node, ready } = await openDhtNode({ ...PRIVATE, bootstrap: [silent] })
  const other = await ready
  try {
    assert.equal(other.host, '127.0.0.1')
    assert.deepEqual(other.address(), node.address())
    assert.deepEqual(other.bootstrapNodes, [silent])
  } finally {
    await other.destroy()
  }
})

test('a bootstrap node with an IPv6 address is refused', async () => {
  const bootstrap = [
    { host: '10.0.0.1', port: 49_737 },
    { host: 'fd00::1', port: 49_737 },
  ]
  await assert.rejects(
    openDhtNode({ ...PRIVATE, bootstrap }),
    /the bootstrap node \[fd00::1\]:49737 cannot be reached because the DHT uses IPv4 only: name its IPv4 address/,
  )
})

test('a host without an IPv4 address is refused', async () => {
  const listen = { host: '2001:db8::1', port: 0 }
  await assert.rejects(
    openDhtNode({ ...PRIVATE, listen }),
    /2001:db8::1 has no IPv4 address, which the DHT needs/,
  )
})
