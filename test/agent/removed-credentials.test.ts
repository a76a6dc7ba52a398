import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createAgent } from '../../src/agent.ts'
import type { UpstreamOptions } from '../../src/upstream/options/options.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { folder } from '../store/folder.ts'
import { PATIENCE, RunningAgent, startUpstream } from './running-agent.ts'

test('content that was cached with credentials is refused by digest once they are gone, live and after a restart', async (t) => {
  const upstream = await startUpstream(t)
  const image = upstream.addImage('team/app', 'v1', [randomBytes(200_000)])
  const data = await folder(t)
  upstream.requireBasic('puller', 'secret')
  const entry = { namespace: 'up.test', hosts: [upstream.host], tls: false }
  const without: UpstreamOptions = { entries: [entry] }
  const login: UpstreamOptions = {
    entries: [entry],
    credentials: { 'up.test': { username: 'puller', password: 'secret' } },
  }
  const start = async (upstreams: UpstreamOptions) => {
    const agent = createAgent({ data, listen: { host: '127.0.0.1', port: 0 }, patience: PATIENCE, upstreams })
    await agent.start()
    const running = new RunningAgent(agent)
    addCleanup(t, () => running.stop({ drainMs: 0 }))
    return { agent, running }
  }
  const paths = [
    'team/app/manifests/v1',
    `team/app/manifests/${image.manifest}`,
    ...[image.config, ...image.layers].map((digest) => `team/app/blobs/${digest}`),
  ]
  const assertAll = async (running: RunningAgent, status: number): Promise<void> => {
    for (const path of paths) assert.equal((await running.get(path)).status, status, path)
  }

  const first = await start(login)
  await assertAll(first.running, 200)
  await first.agent.reload({ upstreams: without })
  await assertAll(first.running, 404)
  await first.running.stop({ drainMs: 0 })

  const second = await start(without)
  await assertAll(second.running, 404)
  await second.running.stop({ drainMs: 0 })

  await upstream.close()
  const third = await start(login)
  await assertAll(third.running, 200)
})
