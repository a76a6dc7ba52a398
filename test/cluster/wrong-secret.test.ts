import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MachineProcess, startMachineProcess } from '../../testkit/lab/machine-process.ts'
import { ip } from '../../testkit/lab/namespaces.ts'
import type { LabMachine } from '../../testkit/lab/network.ts'
import { PEER_PORT } from '../../testkit/lab/node.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'

const MIB = 1 << 20
const TLS_ALERT = 0x15

test('a program that does not know the secret gets nothing from the agents', {
  timeout: 600_000,
}, async (t) => {
  const lab = await startLab(t, { nodes: 3, peers: true })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const image = await upstream.makeImage([2 * MIB])
  await Promise.all(nodes.map((node) => node.pull(image)))
  await upstream.resetTraffic()

  await t.test('an agent with another secret fetches from upstream and is no member', async () => {
    const [outsider] = await lab.addNodes(1, { secret: 'the secret of another swarm' })
    assert.ok(outsider)
    await outsider.pull(image)
    assert.ok((await upstream.trafficOf(image)).copiesSent(image) >= 1, 'it has not fetched from upstream')
    assert.equal(await outsider.peers(), 0)
    await lab.untilConnected(nodes.slice(0, 3))
    for (const node of nodes.slice(0, 3)) {
      assert.ok((await node.peers()) <= 2, 'an agent knows the outsider')
      assert.equal(await node.metric('leat_verify_failures_total'), 0)
    }
  })

  await t.test('a scanner receives no byte over any protocol', async () => {
    const scanner = startMachineProcess(network.addMachine('scanner'))
    t.after(() => scanner.stop())
    const machines = nodes.slice(0, 3).map(({ machine }) => machine)
    for (const machine of machines) assert.deepEqual(openPorts(machine), [PEER_PORT])
    const received = await Promise.all(machines.map((machine) => scan(scanner, machine)))
    for (const bytes of received.flat()) assert.equal(bytes.length, 0, bytes.toString('latin1'))
  })
})

/** What the open port sends to a client of each protocol, without the alerts of TLS. */
async function scan(scanner: MachineProcess, machine: LabMachine): Promise<Buffer[]> {
  const target = { host: machine.address, port: PEER_PORT, ms: 2000 }
  const http = Buffer.from('GET /v2/ HTTP/1.1\r\nHost: leat\r\n\r\n')
  const http2 = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')
  // The first message of a Noise handshake as hyperswarm frames it: three bytes of length, then an ephemeral key.
  const noise = Buffer.concat([Buffer.from([48, 0, 0]), Buffer.alloc(48, 7)])
  const frame = Buffer.from('\0\0\0\x03\0{}', 'latin1')
  const answers = [http, http2, noise, frame, Buffer.of()].flatMap((bytes) =>
    [false, true].map((tls) => scanner.ask('sendAndListen', { ...target, tls, bytes })),
  )
  return (await Promise.all(answers)).map(({ connected, received }) => {
    assert.ok(connected)
    return received[0] === TLS_ALERT ? Buffer.of() : received
  })
}

/** The TCP ports of a machine that others can connect to. */
function openPorts(machine: LabMachine): number[] {
  const lines = ip(['netns', 'exec', machine.namespace, 'cat', '/proc/net/tcp']).split('\n').slice(1)
  const sockets = lines.map((line) => line.trim().split(/\s+/)).filter((fields) => fields[3] === '0A')
  return sockets
    .map((fields) => fields[1]?.split(':') ?? [])
    .filter(([address]) => address !== '0100007F')
    .map(([, port = '']) => Number.parseInt(port, 16))
}
