import { accessSync, constants, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { requireNamespaces } from '../../../testkit/lab/start-lab.ts'
import { requirePrograms, requireRoot, skipTest } from '../../../testkit/programs.ts'

/** The folder of the project. */
export const ROOT = fileURLToPath(new URL('../../../..', import.meta.url))

/** Where `programs/build.sh` keeps what it has made. */
export const CACHE =
  process.env['LEAT_KUBERNETES'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'leat/kubernetes')

/** Where Debian has the network plugins. */
export const NETWORK_PLUGINS = '/usr/lib/cni'

const PROGRAMS = [
  'etcd',
  'docker-registry',
  'runc',
  'nsenter',
  'unshare',
  'bash',
  'tar',
  'tini',
  'pkill',
] as const

const KUBERNETES_PROGRAMS = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubectl',
  'kubelet',
]
const CONTAINERD_PROGRAMS = ['containerd', 'containerd-shim-runc-v2']

/** The paths of the programs of a cluster; those of Kubernetes and of containerd are folders. */
export interface Programs {
  readonly kubernetes: string
  readonly containerd: string
  readonly dns: string
  readonly helm: string
  readonly pause: string
  readonly etcd: string
  readonly registry: string
}

/** Undefined if this machine cannot run a cluster: the test is then skipped with the reason, or has failed where all is required. */
export function requireCluster(t: TestContext): Programs | undefined {
  if (!requireRoot(t) || !requireNamespaces(t)) return undefined
  const found = requirePrograms(t, PROGRAMS)
  if (found === undefined) return undefined
  if (!isProgram(join(NETWORK_PLUGINS, 'ptp'))) {
    skipTest(t, 'missing: the network plugins (Debian package containernetworking-plugins)')
    return undefined
  }
  const version = versions()
  const bin = join(CACHE, 'bin')
  const containerd = process.env['LEAT_KUBERNETES_CONTAINERD'] ?? version['CONTAINERD']
  const made = {
    kubernetes: join(bin, `kubernetes-${version['KUBERNETES']}`),
    containerd: join(bin, `containerd-${containerd}`),
    dns: join(bin, `cluster-dns-${version['COREDNS']}`),
    helm: join(bin, `helm-${version['HELM']}`),
    pause: join(bin, 'pause'),
  }
  const paths = [
    ...KUBERNETES_PROGRAMS.map((name) => join(made.kubernetes, name)),
    ...CONTAINERD_PROGRAMS.map((name) => join(made.containerd, name)),
    ...[made.dns, made.helm, made.pause],
  ]
  const missing = paths.find((path) => !isProgram(path))
  if (missing === undefined) return { ...made, etcd: found.etcd, registry: found['docker-registry'] }
  skipTest(t, `missing: ${missing} (test/kubernetes/programs/build.sh makes it)`)
  return undefined
}

function versions(): Record<string, string> {
  const text = readFileSync(join(ROOT, 'test/kubernetes/programs/versions'), 'utf8')
  return Object.fromEntries([...text.matchAll(/^(\w+)=(.+)$/gm)].map(([, name, value]) => [name, value]))
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
