import { EventEmitter } from 'node:events'
import Hyperswarm from 'hyperswarm'
import { openDhtNode } from '../../../../src/peers/dht/dht-node.ts'
import { deriveSecret, type SwarmSecret } from '../../../../src/peers/identity/secret.ts'
import type { RecordWithHeartbeat } from '../../../../src/peers/identity/signed-record.ts'
import {
  EMPTY_MESSAGE,
  MAX_RECORDS_PER_MESSAGE,
} from '../../../../src/peers/membership/gossip/gossip-messages.ts'
import { DEFAULT_LINK_LIMITS, Link, type LinkListener } from '../../../../src/peers/membership/links/link.ts'
import { identityNamed, memberOf, recordOf } from '../../../../testkit/simulation/gossip/named-members.ts'
import { LOOPBACK, SECRET } from '../../../servers/peer.ts'

// The members of a swarm in one process, as an agent sees them: some have a link to it, and send it records of many others. The
// argument is the DHT node to join at. Each message sets how many members there are: `[links, members]`.

// Every swarm adds listeners to the one DHT node.
EventEmitter.defaultMaxListeners = 0

const [host = LOOPBACK, port = ''] = (process.argv[2] ?? '').split(':')
const startedAt = Date.now()
const secret = await deriveSecret(SECRET)
const { ready } = await openDhtNode({
  listen: { host: LOOPBACK, port: 0 },
  bootstrap: [{ host, port: Number(port) }],
  advertise: LOOPBACK,
  publicDht: false,
  keepAliveMs: DEFAULT_LINK_LIMITS.keepAliveMs,
})
const dht = await ready

const links = new Set<Link>()
let agent: Buffer | undefined
let linked = 0
let known: RecordWithHeartbeat[] = []

function addLinkedMember({ proofKey, topic }: SwarmSecret): void {
  linked += 1
  const name = `linked-${linked}`
  const self = recordOf(name, memberOf(name, startedAt))
  const { publicKey, secretKey } = identityNamed(name)
  const listener: LinkListener = {
    onProven: (link) => {
      links.add(link)
      link.send({ ...EMPTY_MESSAGE, records: [self] })
      sendRecords(link, known)
    },
    onMessage: () => true,
    onClosed: (link) => links.delete(link),
  }
  const swarm = new Hyperswarm({ keyPair: { publicKey, secretKey }, dht, maxPeers: 1 })
  swarm.on('connection', (stream) => {
    agent = stream.remotePublicKey
    return new Link(stream, [proofKey], listener)
  })
  // The agent finds the first member, and the others connect to the agent. No two of the members connect to each other.
  if (agent === undefined) swarm.join(topic, { client: false, server: true })
  else swarm.joinPeer(agent)
}

function sendRecords(link: Link, members: readonly RecordWithHeartbeat[]): void {
  for (let at = 0; at < members.length; at += MAX_RECORDS_PER_MESSAGE) {
    link.send({ ...EMPTY_MESSAGE, records: members.slice(at, at + MAX_RECORDS_PER_MESSAGE) })
  }
}

process.on('message', ([wantedLinks, wantedMembers]: readonly [number, number]) => {
  while (linked < wantedLinks) addLinkedMember(secret)
  const unlinked = wantedMembers - wantedLinks
  known = Array.from({ length: unlinked }, (_, at) => {
    const name = `unlinked-${at}`
    return recordOf(name, memberOf(name, startedAt))
  })
  for (const link of links) sendRecords(link, known)
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
