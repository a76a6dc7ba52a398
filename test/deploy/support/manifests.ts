import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { parseAllDocuments } from 'yaml'

export const DEPLOY = fileURLToPath(new URL('../../../../deploy', import.meta.url))

const Labels = v.record(v.string(), v.string())

const Mount = v.looseObject({ name: v.string(), mountPath: v.string(), readOnly: v.optional(v.boolean()) })

const Probe = v.looseObject({
  httpGet: v.looseObject({ path: v.string(), host: v.optional(v.string()), port: v.string() }),
})

const Container = v.looseObject({
  name: v.string(),
  image: v.string(),
  args: v.optional(v.array(v.string()), []),
  command: v.optional(v.array(v.string()), []),
  env: v.optional(
    v.array(
      v.looseObject({ name: v.string(), value: v.optional(v.string()), valueFrom: v.optional(v.unknown()) }),
    ),
    [],
  ),
  ports: v.optional(
    v.array(
      v.looseObject({
        name: v.string(),
        containerPort: v.number(),
        protocol: v.optional(v.picklist(['TCP', 'UDP']), 'TCP'),
      }),
    ),
    [],
  ),
  volumeMounts: v.optional(v.array(Mount), []),
  resources: v.looseObject({ requests: Labels, limits: Labels }),
  startupProbe: v.optional(Probe),
  livenessProbe: v.optional(Probe),
  readinessProbe: v.optional(Probe),
  securityContext: v.looseObject({
    allowPrivilegeEscalation: v.boolean(),
    readOnlyRootFilesystem: v.boolean(),
    privileged: v.optional(v.boolean()),
    runAsUser: v.optional(v.number()),
    capabilities: v.object({ drop: v.array(v.string()), add: v.optional(v.array(v.string())) }),
  }),
})

const Pod = v.looseObject({
  serviceAccountName: v.string(),
  automountServiceAccountToken: v.boolean(),
  hostNetwork: v.optional(v.boolean(), false),
  priorityClassName: v.optional(v.string()),
  tolerations: v.optional(v.array(Labels), []),
  terminationGracePeriodSeconds: v.optional(v.number()),
  securityContext: v.looseObject({
    runAsNonRoot: v.boolean(),
    runAsUser: v.number(),
    seccompProfile: v.object({ type: v.string() }),
  }),
  initContainers: v.optional(v.array(Container), []),
  containers: v.array(Container),
  volumes: v.optional(
    v.array(
      v.looseObject({
        name: v.string(),
        hostPath: v.optional(v.object({ path: v.string(), type: v.string() })),
      }),
    ),
    [],
  ),
})

const Resource = v.looseObject({
  apiVersion: v.string(),
  kind: v.string(),
  metadata: v.looseObject({
    name: v.string(),
    namespace: v.optional(v.string()),
    labels: v.optional(Labels, {}),
    annotations: v.optional(Labels, {}),
  }),
  spec: v.optional(v.unknown()),
})

const Workload = v.looseObject({
  selector: v.optional(v.object({ matchLabels: Labels })),
  serviceName: v.optional(v.string()),
  template: v.looseObject({ metadata: v.looseObject({ labels: Labels }), spec: Pod }),
})

export type Container = v.InferOutput<typeof Container>
export type Resource = v.InferOutput<typeof Resource>

export interface Workload extends v.InferOutput<typeof Workload> {
  readonly kind: string
  readonly name: string
}

/** Like kubectl, it reads YAML 1.1, in which a key `on` is `true`. */
export function resourcesIn(text: string): Resource[] {
  return parseAllDocuments(text, { version: '1.1' }).flatMap((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0]
    const content: unknown = document.toJS()
    return content === null ? [] : [v.parse(Resource, content)]
  })
}

export function workloadsOf(resources: readonly Resource[]): Workload[] {
  return resources
    .filter(({ kind }) => ['DaemonSet', 'StatefulSet', 'Job'].includes(kind))
    .map(({ kind, metadata, spec }) => ({ kind, name: metadata.name, ...v.parse(Workload, spec) }))
}

export function containersOf({ template }: Workload): readonly Container[] {
  return [...template.spec.initContainers, ...template.spec.containers]
}

export async function manifest(path: string): Promise<Resource[]> {
  return resourcesIn(await readFile(join(DEPLOY, 'manifests', path), 'utf8'))
}

export function named<Of extends { readonly name: string }>(items: readonly Of[], name: string): Of {
  const found = items.find((item) => item.name === name)
  if (found === undefined)
    throw new Error(`there is no ${name} among ${items.map((item) => item.name).join(', ')}`)
  return found
}
