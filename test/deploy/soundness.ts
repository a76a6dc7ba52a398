import assert from 'node:assert/strict'
import { readArguments } from '../../src/cli/arguments.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { Settings } from '../../src/config/schema.ts'
import { type Container, containersOf, type Resource, type Workload, workloadsOf } from './manifests.ts'

const NODE = '10.0.0.7'
const USER = 65532
/** What may be mounted of a node, by the container that mounts it. */
const OF_THE_NODE: Readonly<Record<string, readonly string[]>> = {
  agent: ['data'],
  'data-folder': ['data'],
  'runtime-install': ['runtime-settings', 'runtime-memory'],
  'runtime-uninstall': ['runtime-settings', 'runtime-memory'],
}

const OF_THE_CLUSTER =
  /^(?:Namespace|PriorityClass|ClusterRole(?:Binding)?|ValidatingAdmissionPolicy(?:Binding)?)$/

/** All that must hold for anything that the chart renders or that lies here rendered. */
export async function assertSound(resources: readonly Resource[]): Promise<void> {
  assertNames(resources)
  for (const workload of workloadsOf(resources)) {
    assertLabels(workload, resources)
    assertMounts(workload)
    assertConfined(workload)
    for (const container of containersOf(workload)) await assertCommand(container)
  }
}

function assertNames(resources: readonly Resource[]): void {
  const names = resources.map(({ kind, metadata }) => `${kind}/${metadata.name}`)
  assert.deepEqual(names, [...new Set(names)], 'no two of one name')
  for (const { kind, metadata } of resources) {
    assert.match(metadata.name, /^[a-z0-9-]{1,63}$/)
    const isOfCluster = OF_THE_CLUSTER.test(kind)
    assert.equal(metadata.namespace === undefined, isOfCluster, `the namespace of ${kind}/${metadata.name}`)
  }
}

function assertLabels(
  { kind, name, selector, serviceName, template }: Workload,
  all: readonly Resource[],
): void {
  const { labels } = template.metadata
  if (kind !== 'Job') {
    assert.ok(selector, name)
    for (const [key, value] of Object.entries(selector.matchLabels)) assert.equal(labels[key], value, name)
  }
  const { serviceAccountName, priorityClassName } = template.spec
  assert.ok(has(all, 'ServiceAccount', serviceAccountName), `${name} runs as ${serviceAccountName}`)
  if (serviceName !== undefined)
    assert.ok(has(all, 'Service', serviceName), `${name} is named by ${serviceName}`)
  if (priorityClassName !== undefined && !priorityClassName.startsWith('system-'))
    assert.ok(has(all, 'PriorityClass', priorityClassName), priorityClassName)
}

function has(all: readonly Resource[], kind: string, name: string): boolean {
  return all.some((one) => one.kind === kind && one.metadata.name === name)
}

function assertMounts(workload: Workload): void {
  const { volumes } = workload.template.spec
  const used = new Set<string>()
  for (const { name, volumeMounts } of containersOf(workload)) {
    for (const mount of volumeMounts) {
      const volume = volumes.find((one) => one.name === mount.name)
      assert.ok(volume, `${name} mounts ${mount.name}`)
      used.add(volume.name)
      if (volume.hostPath === undefined) continue
      assert.ok(
        OF_THE_NODE[name]?.includes(volume.name),
        `${name} mounts ${volume.hostPath.path} of the node`,
      )
      if (mount.mountPath.startsWith('/host')) assert.equal(mount.mountPath, `/host${volume.hostPath.path}`)
    }
  }
  assert.deepEqual(
    volumes.map(({ name }) => name).filter((name) => !used.has(name)),
    [],
    `volumes of ${workload.name} that nobody mounts`,
  )
}

function assertConfined(workload: Workload): void {
  const { spec } = workload.template
  const { name } = workload
  assert.equal(spec.securityContext.runAsNonRoot, true, name)
  assert.equal(spec.securityContext.runAsUser, USER, name)
  assert.equal(spec.securityContext.seccompProfile.type, 'RuntimeDefault', name)
  assert.equal(spec.automountServiceAccountToken, workload.kind === 'Job', `the token of ${name}`)
  for (const container of containersOf(workload)) {
    const { securityContext: security } = container
    assert.equal(security.allowPrivilegeEscalation, false, container.name)
    assert.equal(security.readOnlyRootFilesystem, true, container.name)
    assert.notEqual(security.privileged, true, container.name)
    assert.deepEqual(security.capabilities.drop, ['ALL'], container.name)
    const isRoot = security.runAsUser === 0
    assert.equal(isRoot, spec.initContainers.includes(container), `${container.name} is root`)
    const more = container.name === 'data-folder' ? ['CHOWN', 'FOWNER'] : undefined
    assert.deepEqual(security.capabilities.add, more, container.name)
  }
}

/** What a container says to the agent is something that this version understands. */
async function assertCommand(container: Container): Promise<void> {
  for (const { name } of container.env) {
    const given = container.env.filter((one) => one.name === name)
    assert.equal(given.length, 1, `${name} is given twice`)
  }
  if (container.args.length === 0) return assert.notDeepEqual(container.command, [], container.name)
  assert.deepEqual(container.command, [], container.name)
  if (container.args[0] === 'serve') await settingsOf(container)
  else await parsed(container.args.map((arg) => filled(arg)))
}

/** As the agent in that container will have them. */
export async function settingsOf(container: Container): Promise<Settings> {
  const given = await parsed(container.args.map((arg) => filled(arg)))
  const env = Object.fromEntries(
    container.env.map(({ name, value, valueFrom }) => [
      name,
      valueFrom === undefined ? filled(value ?? '') : '',
    ]),
  )
  return await loadSettings({
    flags: given.values,
    env: { ...env, UPSTREAM_CREDENTIALS: '' },
    defaultFile: '/nowhere',
  })
}

async function parsed(args: readonly string[]) {
  const request = await readArguments(args, { version: '0', width: 100 })
  assert.ok(request.kind === 'run', args.join(' '))
  return request.given
}

function filled(text: string): string {
  const full = text.replaceAll('$(HOST_IP)', NODE)
  assert.doesNotMatch(full, /\$\(/, 'a variable that nobody sets')
  return full
}
