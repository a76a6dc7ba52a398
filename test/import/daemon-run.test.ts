import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DaemonRun } from '../../src/import/daemon-run.ts'
import type { ImportLine } from '../../src/schemas/import-report.ts'
import { DockerClient } from '../../src/sources/docker/docker-client.ts'
import { readDockerHost } from '../../src/sources/docker/docker-host.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { RecordedDocker } from '../sources/docker/recorded-docker.ts'
import { hub, startLab } from './import-lab.ts'

test('an image of Docker is imported by one save, with the digests that it has in Docker', async (t) => {
  const lab = await startLab(t)
  const docker = await RecordedDocker.start(lab.folder)
  addCleanup(t, () => docker.stop())
  const client = new DockerClient(await readDockerHost(`unix://${docker.socketPath}`, {}))
  addCleanup(t, () => client.close())
  const run = async (reference: string, as?: string): Promise<ImportLine[]> => {
    const names = { registry: undefined, defaultRegistry: 'docker.io' }
    const named = as === undefined ? undefined : { repository: hub(as), tag: 'v2' }
    const options = { selection: 'all', referrers: false, pin: false, move: false, as: named } as const
    const lines: ImportLine[] = []
    const daemonRun = new DaemonRun(client, { reference, names }, lab.target, options)
    for await (const line of daemonRun.lines({ signal: new AbortController().signal })) lines.push(line)
    return lines
  }
  const first = await run('acme/small:v1')
  const image = first.find((line) => line.is === 'image')
  assert.equal(image?.error, null)
  assert.ok((image?.bytes ?? 0) > 0 && image?.hereBytes === 0)
  assert.equal(await lab.tagOf(hub('acme/small'), 'v1'), image.digest)
  const second = await run('acme/small:v1', 'other/name')
  assert.equal(await lab.tagOf(hub('other/name'), 'v2'), image.digest)
  const done = second.find((line) => line.is === 'done')
  assert.equal(done?.hereBytes, done?.bytes)
  assert.equal(docker.saves, 1)
  await assert.rejects(run('acme/gone:v1'), /has no image acme\/gone:v1/)
  await assert.rejects(run('sha256:0123'), /Name it with --as/)
})
