import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openChart, VALUE_SETS } from './support/helm.ts'
import { openKubeconform } from './support/kubeconform.ts'
import { DEPLOY, resourcesIn } from './support/manifests.ts'

const LATEST = '1.37.0'
/** The oldest version that the chart supports, that of the manifests, and the latest one. */
const VERSIONS = ['1.27.0', '1.31.0', LATEST] as const

test('the rendered chart and the manifests are valid for several versions of Kubernetes', async (t) => {
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
      for (const [name, values] of Object.entries(VALUE_SETS)) {
        const { code, stdout, stderr } = await chart.tryRender(values, { version })
        if (code === 0) files[name] = stdout
        else assert.match(stderr, /needs Kubernetes 1\.\d+/, name)
      }
      if (version === LATEST) assert.equal(Object.keys(files).length, 3 + Object.keys(VALUE_SETS).length)
      const all = resourcesIn(Object.values(files).join('\n---\n'))
      const prometheus = all.filter(({ kind }) => /^(?:ServiceMonitor|PrometheusRule)$/.test(kind)).length
      assert.ok(prometheus > 0)
      const { resources, summary } = await kubeconform.validate(files, version)
      assert.deepEqual(resources, [])
      assert.deepEqual(summary, {
        valid: all.length - prometheus,
        invalid: 0,
        errors: 0,
        skipped: prometheus,
      })
    })
  }

  await t.test('a mistake is found', async () => {
    const wrong = (manifests['10-leat'] ?? '')
      .replace('hostNetwork:', 'hostNet:')
      .replace(/(containerPort:) \d+/, '$1 admin')
    const { resources, summary } = await kubeconform.validate({ wrong }, LATEST)
    assert.equal(summary.invalid, 1)
    assert.match(resources[0]?.msg ?? '', /'hostNet' not allowed/)
    assert.match(resources[0]?.msg ?? '', /containerPort': got string/)
  })
})
