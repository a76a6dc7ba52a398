import { EventEmitter } from 'node:events'
import Hyperswarm from 'hyperswarm'
import { openDhtNode } from '../../../src/peers/dht/dht-node.ts'
import { deriveSecret, type SwarmSecret } from '../../../src/peers/identity/secret.ts'
import { type Account, NOTHING, RECORDS_AT_ONCE } from '../../../src/peers/membership/gossip-messages.ts'
import { KEEP_ALIVE_MS, Link, type LinkEvents } from '../../../src/peers/membership/link.ts'
import { accountOf, identityNamed, memberOf } from '../../../testkit/simulation/gossip-simulation.ts'
import { HERE, SECRET } from './peers.ts'

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
  keepAliveMs: KEEP_ALIVE_MS,
})
const dht = await ready

const links = new Set<Link>()
let agent: Buffer | undefined
let linked = 0
let known: Account[] = []

function appear({ proofKey, topic }: SwarmSecret): void {
  linked += 1
  const name = `linked-${linked}`
  const self = accountOf(name, memberOf(name, bornAt))
  const { publicKey, secretKey } = identityNamed(name)
  const events: LinkEvents = {
    proven: (link) => {
      links.add(link)
      link.say({ ...NOTHING, records: [self] })
      tell(link, known)
    },
    said: () => true,
    closed: (link) => links.delete(link),
  }
  const swarm = new Hyperswarm({ keyPair: { publicKey, secretKey }, dht, maxPeers: 1 })
  swarm.on('connection', (stream) => {
    agent = stream.remotePublicKey
    return new Link(stream, [proofKey], events)
  })
  // The first is found by the agent, which the others then dial: they have nothing to do with each other.
  if (agent === undefined) swarm.join(topic, { client: false, server: true })
  else swarm.joinPeer(agent)
}

function tell(link: Link, members: readonly Account[]): void {
  for (let at = 0; at < members.length; at += RECORDS_AT_ONCE) {
    link.say({ ...NOTHING, records: members.slice(at, at + RECORDS_AT_ONCE) })
  }
}

process.on('message', ([wantedLinks, wantedMembers]: readonly [number, number]) => {
  while (linked < wantedLinks) appear(secret)
  const hearsay = wantedMembers - wantedLinks
  known = Array.from({ length: hearsay }, (_, at) => {
    const name = `told-of-${at}`
    return accountOf(name, memberOf(name, bornAt))
  })
  for (const link of links) tell(link, known)
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
