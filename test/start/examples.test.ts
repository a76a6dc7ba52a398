import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startAgent } from '../../examples/library/agent.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'

test('the example of the library pulls a blob through its agent', async (t) => {
  const content = Buffer.from('{"layers":[]}')
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  const digest = upstream.addBlob(content)
  const data = await mkdtemp(join(tmpdir(), 'leat-example-'))
  t.after(() => rm(data, { recursive: true, force: true }))

  const agent = await startAgent(upstream.host, data)
  t.after(() => agent.stop({ drainMs: 0 }))
  const { host, port } = agent.addresses.registry
  const url = `http://${host}:${port}/v2/${upstream.host}/team/app/blobs/${digest}`
  const answer = await fetch(url)
  assert.equal(answer.status, 200)
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), content)
  assert.match(answer.headers.get('cache-status') ?? '', /^leat; fwd=uri-miss; detail=upstream/)
})
