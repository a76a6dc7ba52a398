import { parseAddress } from '../../../../src/config/values/address.ts'
import { identityOf } from '../../../../src/peers/identity/identity.ts'
import { deriveSecret } from '../../../../src/peers/identity/secret.ts'
import { createSwarm } from '../../../../src/peers/membership/swarm.ts'

/** A member in its own process, so that a test can kill it. Arguments: `SECRET BOOTSTRAP_ADDRESS SEED`. */
const [secret = '', bootstrap = '', seed = ''] = process.argv.slice(2)
const address = parseAddress(bootstrap)
if (address === undefined) throw new Error('the bootstrap address is missing')
const swarm = createSwarm({
  secrets: [await deriveSecret(secret)],
  identity: identityOf(Buffer.from(seed, 'hex')),
  self: {
    incarnation: Date.now(),
    name: 'child',
    host: '127.0.0.1',
    port: 5052,
    fingerprint: 'cd'.repeat(32),
    zone: undefined,
    version: '0.1.0',
    protocol: 1,
  },
  dht: { host: '127.0.0.1', port: 0 },
  bootstrap: [address],
  publicDht: false,
  limits: { keepAliveMs: 200 },
})
await swarm.start()
