import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { packChart } from '../../release/files/chart-layout.ts'
import { createAgent } from '../../src/agent.ts'
import { findProgram, requirePrograms, run } from '../../testkit/programs.ts'

const CHART = join(process.cwd(), 'deploy/chart')

test('the chart of a release is pushed by skopeo, and pulled whole by Helm', async (t) => {
  const programs = requirePrograms(t, ['skopeo', 'tar'])
  if (programs === undefined) return
  const folder = await mkdtemp(join(tmpdir(), 'leat-chart-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = await packChart(CHART, folder)
  assert.match(file, /^leat-chart-\d+\.\d+\.\d+\.oci\.tar$/)
  const again = join(folder, 'again')
  await mkdir(again)
  await packChart(CHART, again)
  assert.ok((await readFile(join(folder, file))).equals(await readFile(join(again, file))))

  const agent = createAgent({
    data: join(folder, 'data'),
    listen: { host: '127.0.0.1', port: 0 },
    hosted: { names: ['charts/**'] },
  })
  t.after(() => agent.stop({ drainMs: 0 }))
  await agent.start()
  const registry = `127.0.0.1:${agent.addresses.registry.port}`
  const version = /(\d+\.\d+\.\d+)/.exec(file)?.[1] ?? ''
  await run(programs.skopeo, [
    'copy',
    '--dest-tls-verify=false',
    `oci-archive:${join(folder, file)}:${version}`,
    `docker://${registry}/charts/leat:${version}`,
  ])
  const manifest = await fetch(`http://${registry}/v2/charts/leat/manifests/${version}`)
  const { layers } = JSON.parse(await manifest.text())
  const content = await fetch(`http://${registry}/v2/charts/leat/blobs/${layers[0].digest}`)
  assert.equal(content.status, 200)

  const helm = findProgram('helm')
  if (helm === undefined) return t.diagnostic('helm is not on the path, so it did not pull the chart')
  const pulled = join(folder, 'pulled')
  await mkdir(pulled)
  const source = `oci://${registry}/charts/leat`
  await run(helm, ['pull', source, '--version', version, '--plain-http', '--untar', '--untardir', pulled], {
    env: { HELM_CACHE_HOME: join(folder, 'cache'), HELM_CONFIG_HOME: join(folder, 'config') },
  })
  const expected = join(folder, 'expected')
  await cp(CHART, expected, { recursive: true })
  assert.deepEqual(await filesIn(join(pulled, 'leat')), await filesIn(expected))
})

async function filesIn(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
  const texts = files.map(async (path) => [path.slice(folder.length), await readFile(path, 'utf8')] as const)
  return Object.fromEntries((await Promise.all(texts)).sort(([a], [b]) => (a < b ? -1 : 1)))
}
