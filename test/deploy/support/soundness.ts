import assert from 'node:assert/strict'
import { readArguments } from '../../../src/cli/arguments.ts'
import { loadSettings } from '../../../src/config/load.ts'
import type { Settings } from '../../../src/config/schema.ts'
import { type Container, containersOf, type Resource, type Workload, workloadsOf } from './manifests.ts'

const NODE = '10.0.0.7'
const USER = 65532
/** The host volumes that each container may mount. */
const HOST_VOLUMES: Readonly<Record<string, readonly string[]>> = {
  agent: ['data'],
  'data-folder': ['data'],
  'runtime-install': ['runtime-settings', 'runtime-record'],
  'runtime-uninstall': ['runtime-settings', 'runtime-record'],
}

const CLUSTER_KINDS =
  /^(?:Namespace|PriorityClass|ClusterRole(?:Binding)?|ValidatingAdmissionPolicy(?:Binding)?)$/

/** Asserts what must hold for everything that the chart renders. */
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
  assert.deepEqual(names, [...new Set(names)], 'names are unique')
  for (const { kind, metadata } of resources) {
    assert.match(metadata.name, /^[a-z0-9-]{1,63}$/)
    const isClusterWide = CLUSTER_KINDS.test(kind)
    assert.equal(metadata.namespace === undefined, isClusterWide, `the namespace of ${kind}/${metadata.name}`)
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
    assert.ok(has(all, 'Service', serviceName), `${name} has the service ${serviceName}`)
  if (priorityClassName !== undefined && !priorityClassName.startsWith('system-'))
    assert.ok(has(all, 'PriorityClass', priorityClassName), priorityClassName)
}

function has(all: readonly Resource[], kind: string, name: string): boolean {
  return all.some((each) => each.kind === kind && each.metadata.name === name)
}

function assertMounts(workload: Workload): void {
  const { volumes } = workload.template.spec
  const used = new Set<string>()
  for (const { name, volumeMounts } of containersOf(workload)) {
    for (const mount of volumeMounts) {
      const volume = volumes.find((each) => each.name === mount.name)
      assert.ok(volume, `${name} mounts ${mount.name}`)
      used.add(volume.name)
      if (volume.hostPath === undefined) continue
      assert.ok(
        HOST_VOLUMES[name]?.includes(volume.name),
        `${name} mounts ${volume.hostPath.path} of the node`,
      )
      if (mount.mountPath.startsWith('/host')) assert.equal(mount.mountPath, `/host${volume.hostPath.path}`)
    }
  }
  assert.deepEqual(
    volumes.map(({ name }) => name).filter((name) => !used.has(name)),
    [],
    `volumes of ${workload.name} that no container mounts`,
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
    const added = container.name === 'data-folder' ? ['CHOWN', 'FOWNER'] : undefined
    assert.deepEqual(security.capabilities.add, added, container.name)
  }
}

/** The command that gives the report of the agent's command to the kubelet; the arguments are those of the agent. */
function withoutReport(command: readonly string[]): readonly string[] {
  const [shell, flag, script = '', name] = command
  const isReport = shell === 'sh' && flag === '-c' && name === 'tell-kubelet' && script.includes('agent "$@"')
  return isReport ? command.slice(4) : command
}

/** The arguments and variables of a container must be valid for this version of the agent. */
async function assertCommand(container: Container): Promise<void> {
  for (const { name } of container.env) {
    const variables = container.env.filter((each) => each.name === name)
    assert.equal(variables.length, 1, `${name} is set twice`)
  }
  if (container.args.length === 0) return assert.notDeepEqual(container.command, [], container.name)
  assert.deepEqual(withoutReport(container.command), [], container.name)
  if (container.args[0] === 'serve') await settingsOf(container)
  else await parseArguments(container.args.map(expandVariables))
}

/** The settings that the agent in the container has. */
export async function settingsOf(container: Container): Promise<Settings> {
  const given = await parseArguments(container.args.map(expandVariables))
  const env = Object.fromEntries(
    container.env.map(({ name, value, valueFrom }) => [
      name,
      valueFrom === undefined ? expandVariables(value ?? '') : '',
    ]),
  )
  return await loadSettings({
    flags: given.values,
    env: { ...env, UPSTREAM_CREDENTIALS: '' },
    defaultFile: '/nowhere',
  })
}

async function parseArguments(args: readonly string[]) {
  const request = await readArguments(args, { version: '0', width: 100 })
  assert.ok(request.kind === 'run', args.join(' '))
  return request.given
}

function expandVariables(text: string): string {
  const full = text.replaceAll('$(HOST_IP)', NODE)
  assert.doesNotMatch(full, /\$\(/, 'an unknown variable')
  return full
}
