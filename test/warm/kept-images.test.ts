import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { subscribe } from '../../src/observe/events.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Node } from './node.ts'

/** Resolves when an image has been warmed. */
function warmed(image: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = subscribe('warm.ended', (event) => {
      if (event.image !== image) return
      stop()
      resolve()
    })
  })
}

test('an image that is added to a running agent is warmed, and one that is left out is kept no longer', async (t) => {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  for (const name of ['one', 'two']) upstream.addImage(name, 'v1', [randomBytes(1000)])
  const first = warmed('up.test/one:v1')
  const options = { warm: [{ image: 'up.test/one:v1' }] }
  const node = await Node.start(t, upstream, options)
  await first
  assert.deepEqual(await node.readiness(), [200, 'ready\n'])
  const second = warmed('up.test/two:v1')
  const upstreams = { entries: [{ namespace: 'up.test', hosts: [upstream.host], tls: false }] }
  await node.agent.reload({ upstreams, warm: [{ image: 'up.test/one:v1' }, { image: 'up.test/two:v1' }] })
  await second
  await node.agent.reload({ upstreams, warm: [{ image: 'up.test/none:v1' }] })
  const [status, text] = await node.readiness()
  assert.equal(status, 503)
  assert.match(String(text), /^not ready: [^\n]*up\.test\/none:v1[^;\n]*\n$/)
  await assert.rejects(node.agent.reload({ upstreams, warm: [{ image: 'NO IMAGE' }] }), /NO IMAGE/)
})
