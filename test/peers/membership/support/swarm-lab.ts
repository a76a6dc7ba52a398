import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type BootstrapNode, startBootstrapNode } from '../../../../src/peers/dht/bootstrap.ts'
import { type Identity, identityOf } from '../../../../src/peers/identity/identity.ts'
import { deriveSecret, type SwarmSecret } from '../../../../src/peers/identity/secret.ts'
import { createSwarm, type Swarm, type SwarmOptions } from '../../../../src/peers/membership/swarm.ts'

/** Agents that find each other over a DHT on loopback. */

const LOCAL = { host: '127.0.0.1', port: 0 }
/** Bounds each wait, so that a test that would wait forever fails with a message. */
export const DEADLINE_MS = 50_000

export interface SwarmSetting {
  readonly dht: BootstrapNode
  /** What the secret was derived from. */
  readonly secretText: string
  /** The secret of the agents that are given no other one. */
  readonly secret: SwarmSecret
  start(given?: Partial<SwarmOptions>): Promise<Swarm>
}

/**
 * A test that has its own DHT and its own secret. The secrets differ because a port of a DHT that has stopped is given to
 * the next DHT that starts: agents that still ask there then find the agents of another test.
 */
export function swarmTest(
  title: string,
  run: (setting: SwarmSetting, t: TestContext) => Promise<void>,
): void {
  test(title, async (t) => {
    const secretText = randomBytes(32).toString('hex')
    const secret = await deriveSecret(secretText)
    const dht = await startBootstrapNode({ listen: LOCAL, bootstrap: [], advertise: undefined })
    const started: Swarm[] = []
    try {
      await run(
        {
          dht,
          secretText,
          secret,
          start: async (given = {}) => {
            const swarm = newSwarm({ secrets: [secret], bootstrap: [dht.address], ...given })
            started.push(swarm)
            await swarm.start()
            return swarm
          },
        },
        t,
      )
    } finally {
      await Promise.all(started.map((swarm) => swarm.stop()))
      await dht.stop()
    }
  })
}

export function newIdentity(): Identity {
  return identityOf(randomBytes(32))
}

function newSwarm(given: Partial<SwarmOptions> & Pick<SwarmOptions, 'secrets'>): Swarm {
  return createSwarm({
    identity: newIdentity(),
    self: {
      incarnation: Date.now(),
      name: 'node',
      host: '127.0.0.1',
      port: 5052,
      fingerprint: 'ab'.repeat(32),
      zone: undefined,
      version: '0.1.0',
      protocol: 1,
    },
    dht: LOCAL,
    bootstrap: [],
    publicDht: false,
    ...given,
  })
}

/** Returns how many milliseconds it took until the condition held. */
export async function until(swarms: readonly Swarm[], condition: () => boolean): Promise<number> {
  const startedAt = performance.now()
  while (!condition()) {
    const statuses = (): string => JSON.stringify(swarms.map((swarm) => swarm.status()))
    if (performance.now() - startedAt > DEADLINE_MS) assert.fail(`the condition does not hold: ${statuses()}`)
    await delay(10)
  }
  return Math.round(performance.now() - startedAt)
}

export function knowEachOther(swarms: readonly Swarm[]): boolean {
  return swarms.every(
    (one) =>
      one.others().length === swarms.length - 1 &&
      swarms.every((two) => one === two || one.get(two.self.id)?.incarnation === two.self.incarnation),
  )
}
