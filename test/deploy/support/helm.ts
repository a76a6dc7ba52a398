import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Ended, findProgram, run, tryRun } from '../../../testkit/programs.ts'
import { DEPLOY } from './manifests.ts'

export const CHART = join(DEPLOY, 'chart')

/** Sets of values for the chart, by what they are for. */
export const VALUE_SETS: Readonly<Record<string, string>> = {
  'the defaults': '',
  'without peers': 'peers: { enabled: false }',
  'for CRI-O': 'runtime: { name: crio, folder: /etc/containers, registries: [ghcr.io] }',
  'for k3s':
    'runtime: { folder: /var/lib/rancher/k3s/agent/etc/containerd, config: /var/lib/rancher/k3s/agent/etc/containerd/config.toml, writeConfig: true }',
  'without the settings of the runtime': 'runtime: { install: false }',
  'with monitoring':
    'admin: { listen: node }\nserviceMonitor: { enabled: true, labels: { a: b } }\nprometheusRule: { enabled: true, labels: { a: b } }\ndashboard: { enabled: true }',
  'with other names, and an image by its digest':
    'nameOverride: mirror\nfullnameOverride: image-mirror\nimage: { repository: r.corp/leat, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }',
  'with a startup taint':
    'startupTaint: { enabled: true, key: corp/x }\nconfig: { warm: [alpine:3] }\ntolerations: []\nadmin: { listen: node, tlsSecret: leat-tls }',
  'with events': 'events: { enabled: true }',
  'with TLS':
    'config: { tlsCert: /tls/tls.crt, tlsKey: /tls/tls.key }\nruntime: { caFile: /tls/ca.crt }\nextraVolumes: [{ name: tls, secret: { secretName: tls } }]\nextraVolumeMounts: [{ name: tls, mountPath: /tls }]',
  'with many settings':
    'peers: { secret: 0123456789abcdef, zone: eu-1a, maxUpload: 100MiB, maxDownload: 1GiB, listen: any, bootstrap: ["10.0.0.1:49737"] }\ndht: { enabled: false }\ncredentialsSecret: hub\nseLinuxType: spc_t\nconfig: { warm: [alpine:3] }\nimage: { repository: r.corp/leat, tag: "1", pullSecrets: [pull] }\nnodeSelector: { a: b }\nextraEnv: [{ name: HTTPS_PROXY, value: "http://proxy:3128" }]\npriorityClass: { create: false, name: system-node-critical }\nnetworkPolicy: { from: [{ ipBlock: { cidr: 10.0.0.0/8 } }] }',
}

interface Chart {
  /** The rendered chart, hooks included. */
  render(values: string, options?: RenderOptions): Promise<string>
  tryRender(values: string, options?: RenderOptions): Promise<Ended>
}

interface RenderOptions {
  /** The version of Kubernetes. */
  readonly version?: string
  readonly flags?: readonly string[]
}

/** Without Helm, it skips the test and returns undefined. Helm is never required, because Debian has no package of it. */
export async function openChart(t: TestContext): Promise<Chart | undefined> {
  const helm = findProgram('helm', [join(homedir(), 'go/bin')])
  if (helm === undefined) {
    t.skip('missing: helm (go install helm.sh/helm/v3/cmd/helm@latest), which renders the chart')
    return undefined
  }
  const folder = await mkdtemp(join(tmpdir(), 'leat-chart-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'values.yaml')
  const image = join(folder, 'image.yaml')
  // The chart has no default image, because its name would lead elsewhere.
  await writeFile(image, 'image: { repository: registry.example.com/leat }\n')
  const options = ['--namespace', 'leat', '--values', image, '--values', file]
  const commandLine = async (values: string, { version = '1.31.0', flags = [] }: RenderOptions) => {
    await writeFile(file, values)
    return ['template', 'leat', CHART, ...options, '--kube-version', version, ...flags]
  }
  return {
    render: async (values, renderOptions = {}) =>
      (await run(helm, await commandLine(values, renderOptions))).stdout,
    tryRender: async (values, renderOptions = {}) =>
      await tryRun(helm, await commandLine(values, renderOptions)),
  }
}
