import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster } from './lab/cluster.ts'
import { NAMESPACE, Release } from './lab/release.ts'
import { settingsOf } from './lab/settings-of.ts'

/** Enough for the node that is there, however busy the machine is. */
const RESTORE_SECONDS = 120

test('an uninstall restores the nodes that are there, and names the one that is gone', async (t) => {
  const cluster = await Cluster.start(t)
  if (cluster === undefined) return
  const one = await cluster.addNode('one')
  const before = await settingsOf(one.writtenSettings)
  const two = await cluster.addNode('two')
  const release = await Release.prepare(cluster)
  await release.install({ runtime: { restoreSeconds: RESTORE_SECONDS } })

  await two.stop()
  await cluster.kubectl.wait('condition=Ready=Unknown', 'node/two')
  await assert.rejects(release.uninstall(), /leat-restore-wait/)
  const log = await cluster.kubectl.run(['logs', '--namespace', NAMESPACE, 'job/leat-restore-wait'])
  assert.match(log, /^1 of 2 nodes are restored\. Not restored: two \(/m)
  assert.deepEqual(await settingsOf(one.writtenSettings), before)
})
