import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { readToml } from '../../src/runtimes/files/toml.ts'
import { openChart } from './support/helm.ts'
import { DEPLOY, named, resourcesIn, workloadsOf } from './support/manifests.ts'
import { assertSound } from './support/soundness.ts'

const VALUES = join(DEPLOY, 'values')
const IMAGE = '\nimage: { repository: registry.example.com/leat }\n'

async function valueFiles(): Promise<readonly string[]> {
  return (await readdir(VALUES)).filter((name) => name.endsWith('.yaml'))
}

/** The settings that the comment of a file gives for the nodes, without the comment's prose. */
function settingsIn(text: string): string {
  const indented = text.split('\n').filter((line) => /^# {3}/.test(line))
  return indented.map((line) => line.slice(4)).join('\n')
}

test('the values of each distribution render a sound chart', async (t) => {
  const chart = await openChart(t)
  if (chart === undefined) return
  for (const file of await valueFiles()) {
    await t.test(file, async () => {
      const text = await readFile(join(VALUES, file), 'utf8')
      const resources = resourcesIn(await chart.render(`${text}${IMAGE}`))
      await assertSound(resources)
      const { initContainers } = named(workloadsOf(resources), 'leat').template.spec
      const install = initContainers.find(({ name }) => name === 'runtime-install')
      const { runtime } = parse(text)
      if (runtime.install === false) return assert.equal(install, undefined)
      const folder = `/host${runtime.folder}`
      assert.ok(install?.volumeMounts.some(({ mountPath }) => mountPath === folder))
      if (runtime.name !== 'crio') assert.ok(install?.args.includes(`--containerd-config=${runtime.config}`))
    })
  }
})

test('what is to be pasted into the settings of nodes is well-formed and names the agent', async () => {
  const yaml = await Promise.all(
    ['k3s', 'rke2', 'talos', 'kind'].map(async (name) =>
      settingsIn(await readFile(join(VALUES, `${name}.yaml`), 'utf8')),
    ),
  )
  for (const text of yaml)
    for (const document of parseAllDocuments(text)) assert.deepEqual(document.errors, [])
  const [k3s, rke2, talos, kind] = yaml
  const mirrors = { '*': { endpoint: ['http://127.0.0.1:5050'] } }
  assert.deepEqual([parse(k3s ?? '').mirrors, parse(rke2 ?? '').mirrors], [mirrors, mirrors])
  assert.match(talos ?? '', /endpoints: \[http:\/\/127\.0\.0\.1:5050\]/)
  const [patch] = parse(kind ?? '').containerdConfigPatches
  assert.equal(
    JSON.stringify(readToml(patch, 'the patch')),
    '{"plugins":{"io.containerd.grpc.v1.cri":{"registry":{"config_path":"/etc/containerd/certs.d"}}}}',
  )
  const bottlerocket = readToml(
    settingsIn(await readFile(join(VALUES, 'bottlerocket.yaml'), 'utf8')),
    'bottlerocket.yaml',
  )
  assert.match(JSON.stringify(bottlerocket), /"registry":"\*","endpoint":\["http:\/\/127\.0\.0\.1:5050"\]/)
})
