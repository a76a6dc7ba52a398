import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type OpenPeers, openPeers } from '../../src/peers/open.ts'
import type { PeerOptions } from '../../src/peers/peer-options.ts'
import { Failure } from '../../src/ports/failure.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { sharedLanes } from '../lanes/shared-lanes.ts'
import { folder } from '../store/folder.ts'

const ANY_PORT = { host: '127.0.0.1', port: 0 }

async function open(t: TestContext, options: Partial<PeerOptions> = {}, mode = 0o600): Promise<OpenPeers> {
  const data = await folder(t)
  const secretFile = join(data, 'secret')
  await writeFile(secretFile, 'a secret that is long enough to be one')
  await chmod(secretFile, mode)
  const opened = await openPeers(
    { listen: ANY_PORT, dht: ANY_PORT, ...options, secretFile },
    { data, version: '1.2.3', name: 'node-a', lanes: sharedLanes() },
  )
  addCleanup(t, () => opened.network.close())
  return opened
}

describe('the peer network of an agent', () => {
  it('has no members, and the advertised host with the port on which it listens', async (t) => {
    const { network, warning } = await open(t, { advertise: 'node-a.example', zone: 'a' })
    const { self, members } = network.report()
    assert.match(self.address, /^node-a\.example:[1-9]\d+$/)
    assert.equal(self.zone, 'a')
    assert.deepEqual(members, [])
    assert.equal(network.self.version, '1.2.3')
    assert.equal(warning, undefined)
  })

  it('has the address on which it listens, if no host is advertised', async (t) => {
    const { network } = await open(t)
    assert.match(network.report().self.address, /^127\.0\.0\.1:[1-9]\d+$/)
  })

  it('warns of a secret file that every user can read', async (t) => {
    const { warning } = await open(t, {}, 0o644)
    assert.match(warning ?? '', /secret/)
  })

  it('does not open without its secret file', async (t) => {
    const data = await folder(t)
    const secretFile = join(data, 'missing')
    const opening = openPeers(
      { listen: ANY_PORT, dht: ANY_PORT, secretFile },
      { data, version: '1.2.3', name: 'node-a', lanes: sharedLanes() },
    )
    await assert.rejects(opening, (error) => error instanceof Failure)
  })

  it('frees its port when it is closed', async (t) => {
    const { network } = await open(t)
    const { host, port } = network.self
    await network.close()
    const server = createServer()
    addCleanup(t, () => server.close())
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, resolve)
    })
  })
})
