import type { Cluster } from './cluster.ts'

interface PodOptions {
  /** The node that it must run on. */
  readonly node?: string
  /** The name of a Secret with a login. */
  readonly pullSecret?: string
}

export async function createPod(
  cluster: Cluster,
  name: string,
  image: string,
  { node, pullSecret }: PodOptions = {},
): Promise<void> {
  await cluster.kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      ...(node === undefined ? {} : { nodeSelector: { 'kubernetes.io/hostname': node } }),
      ...(pullSecret === undefined ? {} : { imagePullSecrets: [{ name: pullSecret }] }),
      containers: [{ name: 'wait', image }],
    },
  })
}

/** Resolves when the pod runs. */
export async function runPod(
  cluster: Cluster,
  name: string,
  image: string,
  options: PodOptions = {},
): Promise<void> {
  await createPod(cluster, name, image, options)
  await cluster.kubectl.wait('condition=Ready', `pod/${name}`)
}
