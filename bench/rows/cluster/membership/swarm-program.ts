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
import { identityNamed, memberOf, recordOf } from '../../../../testkit/simulation/gossip-simulation.ts'
import { HERE, SECRET } from '../agents.ts'

// A swarm in one process, as an agent sees it: some whom it has a link to, and many whom they tell of. Started with the
// DHT node to join at, and told how many there are to be from now on: `[links, members]`.

// All swarms listen to the one node.
EventEmitter.defaultMaxListeners = 0

const [host = HERE, port = ''] = (process.argv[2] ?? '').split(':')
const bornAt = Date.now()
const secret = await deriveSecret(SECRET)
const { ready } = await openDhtNode({
  listen: { host: HERE, port: 0 },
  bootstrap: [{ host, port: Number(port) }],
  advertise: HERE,
  publicDht: false,
  keepAliveMs: DEFAULT_LINK_LIMITS.keepAliveMs,
})
const dht = await ready

const links = new Set<Link>()
let agent: Buffer | undefined
let linked = 0
let known: RecordWithHeartbeat[] = []

function appear({ proofKey, topic }: SwarmSecret): void {
  linked += 1
  const name = `linked-${linked}`
  const self = recordOf(name, memberOf(name, bornAt))
  const { publicKey, secretKey } = identityNamed(name)
  const listener: LinkListener = {
    onProven: (link) => {
      links.add(link)
      link.send({ ...EMPTY_MESSAGE, records: [self] })
      tell(link, known)
    },
    onMessage: () => true,
    onClosed: (link) => links.delete(link),
  }
  const swarm = new Hyperswarm({ keyPair: { publicKey, secretKey }, dht, maxPeers: 1 })
  swarm.on('connection', (stream) => {
    agent = stream.remotePublicKey
    return new Link(stream, [proofKey], listener)
  })
  // The first is found by the agent, which the others then dial: they have nothing to do with each other.
  if (agent === undefined) swarm.join(topic, { client: false, server: true })
  else swarm.joinPeer(agent)
}

function tell(link: Link, members: readonly RecordWithHeartbeat[]): void {
  for (let at = 0; at < members.length; at += MAX_RECORDS_PER_MESSAGE) {
    link.send({ ...EMPTY_MESSAGE, records: members.slice(at, at + MAX_RECORDS_PER_MESSAGE) })
  }
}

process.on('message', ([wantedLinks, wantedMembers]: readonly [number, number]) => {
  while (linked < wantedLinks) appear(secret)
  const hearsay = wantedMembers - wantedLinks
  known = Array.from({ length: hearsay }, (_, at) => {
    const name = `told-of-${at}`
    return recordOf(name, memberOf(name, bornAt))
  })
  for (const link of links) tell(link, known)
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
