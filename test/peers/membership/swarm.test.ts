import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { describe } from 'node:test'
import { fileURLToPath } from 'node:url'
import { identityOf } from '../../../src/peers/identity/identity.ts'
import { deriveSecret } from '../../../src/peers/identity/secret.ts'
import { knowEachOther, newIdentity, swarmTest, until } from './support/swarm-lab.ts'

const MEMBER_PROCESS = fileURLToPath(new URL('./support/member-process.js', import.meta.url))

describe('a swarm', { concurrency: true }, () => {
  swarmTest(
    'six agents that start together find each other, and one that stops is removed by all because it said goodbye',
    async ({ start }, t) => {
      const swarms = await Promise.all(Array.from({ length: 6 }, () => start()))
      const knownMs = await until(swarms, () => knowEachOther(swarms))
      assert.deepEqual(swarms[0]?.get(swarms[1]?.self.id ?? swarms[0].self.id), swarms[1]?.self)
      const [leaving, ...staying] = swarms
      assert.ok(leaving)
      const stopped = leaving.stop()
      const removedMs = await until(staying, () => knowEachOther(staying))
      await stopped
      for (const swarm of staying) assert.equal(swarm.departure(leaving.self.id), 'left')
      t.diagnostic(`all known after ${knownMs} ms, removed after ${removedMs} ms`)
    },
  )

  swarmTest(
    'an agent that restarts with the same identity is known to all with its new record',
    async ({ start }, t) => {
      const identity = newIdentity()
      const staying = await Promise.all([start(), start()])
      const first = await start({ identity })
      await until([...staying, first], () => knowEachOther([...staying, first]))
      await first.stop()
      const self = { ...first.self, incarnation: first.self.incarnation + 1, port: 6052 }
      const again = await start({ identity, self })
      const seen = await until([...staying, again], () => knowEachOther([...staying, again]))
      assert.equal(again.self.id, first.self.id)
      assert.equal(staying[0]?.get(again.self.id)?.port, 6052)
      t.diagnostic(`seen after ${seen} ms`)
    },
  )

  swarmTest(
    'an agent can join through any other agent, also when the first bootstrap node is gone',
    async ({ dht, start }, t) => {
      const first = await Promise.all([start(), start()])
      await until(first, () => knowEachOther(first))
      await dht.stop()
      const address = first[0]?.status().dht
      assert.ok(address)
      const late = await start({ bootstrap: [address] })
      const all = [...first, late]
      const knownMs = await until(all, () => knowEachOther(all))
      t.diagnostic(`known after ${knownMs} ms`)
    },
  )

  swarmTest('an agent without bootstrap nodes is a bootstrap node for others', async ({ start }) => {
    const first = await start({ bootstrap: [] })
    const address = first.status().dht
    assert.ok(address)
    const second = await start({ bootstrap: [address] })
    await until([first, second], () => knowEachOther([first, second]))
  })

  swarmTest(
    'while the secret is being rotated, agents with the old and the new secret are in one swarm',
    async ({ secretText, secret, start }) => {
      const other = await deriveSecret(`${secretText} after its rotation`)
      const swarms = await Promise.all(
        [[other], [other, secret], [secret, other], [secret]].map((secrets) => start({ secrets })),
      )
      await until(swarms, () => knowEachOther(swarms))
    },
  )

  swarmTest(
    'an agent that is killed is removed from all lists, and no other agent is',
    async ({ dht, secretText, start }, t) => {
      // Short limits detect the broken links soon, and the clock of the gossip runs four times as fast.
      const fast = { limits: { keepAliveMs: 200, silentMs: 2000 }, now: () => 4 * performance.now() }
      const swarms = await Promise.all([start(fast), start(fast)])
      const identity = identityOf(Buffer.alloc(32, 1))
      const args = [secretText, `${dht.address.host}:${dht.address.port}`, '01'.repeat(32)]
      const child = spawn(process.execPath, [MEMBER_PROCESS, ...args], { stdio: 'inherit' })
      try {
        await until(swarms, () => swarms.every((swarm) => swarm.get(identity.id)?.name === 'child'))
      } finally {
        child.kill('SIGKILL')
      }
      const removedMs = await until(
        swarms,
        () => swarms.every((swarm) => swarm.get(identity.id) === undefined) && knowEachOther(swarms),
      )
      for (const swarm of swarms) assert.notEqual(swarm.departure(identity.id), 'left')
      t.diagnostic(`removed after ${removedMs} ms`)
    },
  )
})
