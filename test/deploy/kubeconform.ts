import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import * as v from 'valibot'
import { findProgram, tryRun } from '../../testkit/programs.ts'

/** One schema for each kind of resource, as `{{ }}` of kubeconform names them. */
const LOCATION =
  '{{ .NormalizedKubernetesVersion }}{{ .StrictSuffix }}/{{ .ResourceKind }}{{ .KindSuffix }}.json'
/** Of Prometheus, not of Kubernetes. */
const FOREIGN = 'monitoring.coreos.com/v1/ServiceMonitor'

const Report = v.object({
  resources: v.optional(
    v.array(v.object({ filename: v.string(), kind: v.string(), name: v.string(), msg: v.string() })),
    [],
  ),
  summary: v.object({ valid: v.number(), invalid: v.number(), errors: v.number(), skipped: v.number() }),
})

type Report = v.InferOutput<typeof Report>

/** Asks kubeconform whether Kubernetes would take what is in these files. */
export interface Kubeconform {
  validate(files: Readonly<Record<string, string>>, version: string): Promise<Report>
}

/**
 * With these versions of Kubernetes. Undefined, with the test skipped, where it or the schemas are missing: no Debian
 * package brings them, so they are never required.
 */
export async function openKubeconform(
  t: TestContext,
  versions: readonly string[],
): Promise<Kubeconform | undefined> {
  const program = findProgram('kubeconform', [join(homedir(), 'go/bin')])
  const schemas = process.env['KUBERNETES_SCHEMAS']
  if (program === undefined || schemas === undefined) {
    t.skip('missing: kubeconform and the schemas of Kubernetes (.ci/run says where they come from)')
    return undefined
  }
  const folder = await mkdtemp(join(tmpdir(), 'leat-schemas-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  for (const version of versions) {
    await unpin(join(schemas, `v${version}-local-strict`), join(folder, `v${version}-strict`))
  }
  return {
    async validate(files, version) {
      const at = await mkdtemp(join(folder, 'files-'))
      for (const [name, text] of Object.entries(files)) await writeFile(join(at, `${name}.yaml`), text)
      const options = ['-strict', '-summary', '-output', 'json', '-kubernetes-version', version]
      const where = ['-schema-location', join(folder, LOCATION), '-skip', FOREIGN]
      const { stdout, stderr } = await tryRun(program, [...options, ...where, at])
      if (stdout === '') throw new Error(stderr)
      return v.parse(Report, JSON.parse(stdout))
    },
  }
}

/** They name each other by addresses at which nothing is; here they lie side by side. */
async function unpin(from: string, to: string): Promise<void> {
  await mkdir(to)
  for (const name of await readdir(from)) {
    const schema: unknown = JSON.parse(await readFile(join(from, name), 'utf8'), (key, value: unknown) => {
      if (key === '$id') return undefined
      return key === '$ref' && typeof value === 'string' ? value.replace(/^\/api\//, '') : value
    })
    await writeFile(join(to, name), JSON.stringify(schema))
  }
}
