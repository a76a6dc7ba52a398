import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openChart, WAYS } from './helm.ts'
import { openKubeconform } from './kubeconform.ts'
import { DEPLOY, resourcesIn } from './manifests.ts'

const NEW = '1.37.0'
/** The oldest that the chart says it is for, the one that the manifests are rendered for, and that. */
const VERSIONS = ['1.27.0', '1.31.0', NEW] as const

test('Kubernetes takes everything that Helm makes of the chart, and the manifests', async (t) => {
  const chart = await openChart(t)
  if (chart === undefined) return
  const kubeconform = await openKubeconform(t, VERSIONS)
  if (kubeconform === undefined) return

  const manifests: Record<string, string> = {}
  for (const file of ['00-namespace', '10-leat', 'uninstall/restore'])
    manifests[file.replace('/', '-')] = await readFile(join(DEPLOY, 'manifests', `${file}.yaml`), 'utf8')

  for (const version of VERSIONS) {
    await t.test(`Kubernetes ${version}`, async () => {
      const files = { ...manifests }
      for (const [way, values] of Object.entries(WAYS)) {
        const { code, stdout, stderr } = await chart.tryRender(values, { version })
        if (code === 0) files[way] = stdout
        else assert.match(stderr, /needs Kubernetes 1\.\d+/, way)
      }
      if (version === NEW) assert.equal(Object.keys(files).length, 3 + Object.keys(WAYS).length)
      const all = resourcesIn(Object.values(files).join('\n---\n'))
      const foreign = all.filter(({ kind }) => kind === 'ServiceMonitor').length
      assert.ok(foreign > 0)
      const { resources, summary } = await kubeconform.validate(files, version)
      assert.deepEqual(resources, [])
      assert.deepEqual(summary, { valid: all.length - foreign, invalid: 0, errors: 0, skipped: foreign })
    })
  }

  await t.test('and it would not take a mistake', async () => {
    const wrong = (manifests['10-leat'] ?? '')
      .replace('hostNetwork:', 'hostNet:')
      .replace(/(containerPort:) \d+/, '$1 admin')
    const { resources, summary } = await kubeconform.validate({ wrong }, NEW)
    assert.equal(summary.invalid, 1)
    assert.match(resources[0]?.msg ?? '', /'hostNet' not allowed/)
    assert.match(resources[0]?.msg ?? '', /containerPort': got string/)
  })
})
