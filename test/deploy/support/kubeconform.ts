import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import * as v from 'valibot'
import { findProgram, tryRun } from '../../../testkit/programs.ts'

/** Where kubeconform finds the schema of each kind of resource. */
const LOCATION =
  '{{ .NormalizedKubernetesVersion }}{{ .StrictSuffix }}/{{ .ResourceKind }}{{ .KindSuffix }}.json'
/** The kinds of the Prometheus operator, for which Kubernetes has no schemas. */
const PROMETHEUS_KINDS = 'monitoring.coreos.com/v1/ServiceMonitor,monitoring.coreos.com/v1/PrometheusRule'

const Report = v.object({
  resources: v.optional(
    v.array(v.object({ filename: v.string(), kind: v.string(), name: v.string(), msg: v.string() })),
    [],
  ),
  summary: v.object({ valid: v.number(), invalid: v.number(), errors: v.number(), skipped: v.number() }),
})

type Report = v.InferOutput<typeof Report>

/** Validates files against the schemas of a version of Kubernetes. */
export interface Kubeconform {
  validate(files: Readonly<Record<string, string>>, version: string): Promise<Report>
}

/**
 * Prepares the schemas of these versions of Kubernetes. Without kubeconform or the schemas, it skips the test and returns
 * undefined. They are never required, because Debian has no packages of them.
 */
export async function openKubeconform(
  t: TestContext,
  versions: readonly string[],
): Promise<Kubeconform | undefined> {
  const program = findProgram('kubeconform', [join(homedir(), 'go/bin')])
  const schemas = process.env['KUBERNETES_SCHEMAS']
  if (program === undefined || !schemas) {
    t.skip('missing: kubeconform and the schemas of Kubernetes (.ci/run says where they come from)')
    return undefined
  }
  const folder = await mkdtemp(join(tmpdir(), 'leat-schemas-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  for (const version of versions) {
    await copySchemas(join(schemas, `v${version}-local-strict`), join(folder, `v${version}-strict`))
  }
  return {
    async validate(files, version) {
      const at = await mkdtemp(join(folder, 'files-'))
      for (const [name, text] of Object.entries(files)) await writeFile(join(at, `${name}.yaml`), text)
      const options = ['-strict', '-summary', '-output', 'json', '-kubernetes-version', version]
      const schemaFlags = ['-schema-location', join(folder, LOCATION), '-skip', PROMETHEUS_KINDS]
      const { stdout, stderr } = await tryRun(program, [...options, ...schemaFlags, at])
      if (stdout === '') throw new Error(stderr)
      return v.parse(Report, JSON.parse(stdout))
    },
  }
}

/** The schemas refer to each other by URLs that do not exist. The copies refer to files in the same folder. */
async function copySchemas(from: string, to: string): Promise<void> {
  await mkdir(to)
  for (const name of await readdir(from)) {
    const schema: unknown = JSON.parse(await readFile(join(from, name), 'utf8'), (key, value: unknown) => {
      if (key === '$id') return undefined
      return key === '$ref' && typeof value === 'string' ? value.replace(/^\/api\//, '') : value
    })
    await writeFile(join(to, name), JSON.stringify(schema))
  }
}
