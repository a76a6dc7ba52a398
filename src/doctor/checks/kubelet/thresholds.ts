import { join } from 'node:path'
import * as v from 'valibot'
import { parse } from 'yaml'
import type { DiskLimit } from '../../../lib/disk-limit.ts'
import { RuntimeFailure } from '../../../runtimes/files/failure.ts'
import type { HostFiles } from '../../../runtimes/files/host-files.ts'

/** Where the kubelet's configuration is: kubeadm, kind and minikube; EKS; GKE. */
const FILES = [
  '/var/lib/kubelet/config.yaml',
  '/etc/kubernetes/kubelet/config.json',
  '/etc/kubernetes/kubelet/kubelet-config.json',
  '/home/kubernetes/kubelet-config.yaml',
]
/** k3s and RKE2 read all files of these folders. */
const FOLDERS = [
  '/var/lib/rancher/k3s/agent/etc/kubelet.conf.d',
  '/var/lib/rancher/rke2/agent/etc/kubelet.conf.d',
]

/** The defaults of the kubelet. */
const DEFAULT_GC_PERCENT = 85
const DEFAULT_EVICTION = { 'nodefs.available': '10%', 'imagefs.available': '15%' }

const UNITS: Readonly<Record<string, number>> = {
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}

const Configuration = v.looseObject({
  imageGCHighThresholdPercent: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(100))),
  evictionHard: v.optional(v.record(v.string(), v.string())),
})
type Configuration = v.InferOutput<typeof Configuration>

/** How much the kubelet wants to be free before it deletes images or ends pods. */
export interface Thresholds {
  readonly node: readonly DiskLimit[]
  readonly images: readonly DiskLimit[]
}

/** Where `evictionHard` is given, the kubelet uses no default for what it leaves out. */
export function thresholdsOf({ imageGCHighThresholdPercent, evictionHard }: Configuration): Thresholds {
  const eviction: Readonly<Record<string, string>> = evictionHard ?? DEFAULT_EVICTION
  const limitsOf = (signal: string): readonly DiskLimit[] => quantity(eviction[signal])
  const gcPercent = imageGCHighThresholdPercent ?? DEFAULT_GC_PERCENT
  return {
    node: limitsOf('nodefs.available'),
    images: [{ percent: 100 - gcPercent }, ...limitsOf('imagefs.available')],
  }
}

/** A share such as `10%`, or a quantity of Kubernetes such as `1Gi`. */
function quantity(text: string | undefined): readonly DiskLimit[] {
  const percent = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text ?? '')?.[1]
  if (percent !== undefined) return [{ percent: Number(percent) }]
  const [, amount, unit = ''] = /^(\d{1,15}(?:\.\d+)?)([kMGT]|[KMGT]i)?$/.exec(text ?? '') ?? []
  return amount === undefined ? [] : [{ bytes: Math.floor(Number(amount) * (UNITS[unit] ?? 1)) }]
}

/** Reads the kubelet's configuration; undefined without a kubelet. Later files add to earlier ones. */
export async function readConfiguration(host: HostFiles): Promise<Configuration | undefined> {
  const inFolders = await Promise.all(
    FOLDERS.map(async (folder) => (await host.names(folder)).map((name) => join(folder, name))),
  )
  let found: Configuration | undefined
  for (const path of [...FILES, ...inFolders.flat()]) {
    const text = (await host.read(path))?.toString()
    if (text === undefined) continue
    const parsed = v.safeParse(Configuration, parseYaml(text))
    if (!parsed.success) throw new RuntimeFailure(`${path} is no configuration of a kubelet`)
    found = { ...found, ...parsed.output }
  }
  return found
}

function parseYaml(text: string): unknown {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}
