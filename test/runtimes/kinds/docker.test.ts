import assert from 'node:assert/strict'
import { test } from 'node:test'
import { install } from '../../../src/runtimes/operations.ts'
import { Host } from '../host.ts'
import { DAEMON, MIRROR, optionsFor } from '../install-fixture.ts'

test('dockerd with mirrors on its command line would not start with more in the file, so none are added', async (t) => {
  const unit = '[Service]\n# --registry-mirror=no\nExecStart=/usr/bin/dockerd --registry-mirror https://x\n'
  const host = await Host.make(t, { '/etc/systemd/system/docker.service.d/mirror.conf': unit })
  const [report] = await install(MIRROR, { ...optionsFor(host), runtimes: ['docker'] })
  assert.match(report?.todo.join() ?? '', /docker\.service\.d\/mirror\.conf\) and would not start/)
  assert.equal(await host.read(DAEMON), undefined)
})
