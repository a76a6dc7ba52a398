import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Hand, handAt } from '../../testkit/lab/machine-process.ts'
import { ip } from '../../testkit/lab/namespaces.ts'
import type { Place } from '../../testkit/lab/network.ts'
import { PEER_PORT } from '../../testkit/lab/node.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'

const MIB = 1 << 20
const TLS_ALERT = 0x15

test('who does not know the secret gets nothing', { timeout: 600_000 }, async (t) => {
  const lab = await startLab(t, { nodes: 3, peers: true })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const image = await upstream.image([2 * MIB])
  await Promise.all(nodes.map((node) => node.pull(image)))
  await upstream.forget()

  await t.test('an agent with another secret', async () => {
    const [stranger] = await lab.grow(1, { secret: 'what they do not know at all' })
    assert.ok(stranger)
    await stranger.pull(image)
    assert.ok((await upstream.accountsOf(image)).egress(image) >= 1, 'it has asked upstream itself')
    assert.equal(await stranger.peers(), 0)
    await lab.met(nodes.slice(0, 3))
    for (const node of nodes.slice(0, 3)) {
      assert.ok((await node.peers()) <= 2, 'it knows the stranger')
      assert.equal(await node.metric('leat_verify_failures_total'), 0)
    }
  })

  await t.test('a scanner', async () => {
    const hand = handAt(network.join('scanner'))
    t.after(() => hand.stop())
    const places = nodes.slice(0, 3).map(({ place }) => place)
    for (const place of places) assert.deepEqual(openPorts(place), [PEER_PORT])
    const heard = await Promise.all(places.map((place) => scan(hand, place)))
    for (const bytes of heard.flat()) assert.equal(bytes.length, 0, bytes.toString('latin1'))
  })
})

/** What each kind of speaker hears at the open port, without what TLS itself says when it hangs up. */
async function scan(hand: Hand, place: Place): Promise<Buffer[]> {
  const door = { host: place.address, port: PEER_PORT, ms: 2000 }
  const http = Buffer.from('GET /v2/ HTTP/1.1\r\nHost: leat\r\n\r\n')
  const http2 = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')
  // The first message of a Noise handshake as hyperswarm frames it: three bytes of length, then an ephemeral key.
  const noise = Buffer.concat([Buffer.from([48, 0, 0]), Buffer.alloc(48, 7)])
  const frame = Buffer.from('\0\0\0\x03\0{}', 'latin1')
  const speakers = [http, http2, noise, frame, Buffer.of()].flatMap((bytes) =>
    [false, true].map((tls) => hand.ask('knock', { ...door, tls, bytes })),
  )
  return (await Promise.all(speakers)).map(({ connected, heard }) => {
    assert.ok(connected)
    return heard[0] === TLS_ALERT ? Buffer.of() : heard
  })
}

/** TCP ports of a place that can be reached from others. */
function openPorts(place: Place): number[] {
  const lines = ip(['netns', 'exec', place.namespace, 'cat', '/proc/net/tcp']).split('\n').slice(1)
  const sockets = lines.map((line) => line.trim().split(/\s+/)).filter((fields) => fields[3] === '0A')
  return sockets
    .map((fields) => fields[1]?.split(':') ?? [])
    .filter(([address]) => address !== '0100007F')
    .map(([, port = '']) => Number.parseInt(port, 16))
}
