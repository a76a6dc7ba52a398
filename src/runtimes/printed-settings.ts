import { CHECK_REPOSITORY } from '../oci/names/check-repository.ts'
import type { MirrorSettings } from './files/plan.ts'
import { urlOf } from './files/plan.ts'
import { tomlString } from './files/toml.ts'
import { withMirror } from './kinds/hosts-toml.ts'
import { WELL_KNOWN } from './kinds/registries-conf.ts'

/** What has its settings elsewhere than in files of the host, or is made before there is a host. */
export const PRINTED_KINDS = ['talos', 'bottlerocket', 'k3s', 'kind', 'buildkit', 'nerdctl'] as const
export type PrintedKind = (typeof PRINTED_KINDS)[number]

const CA_FILE = 'leat-ca.crt'
const BUILDKIT_CA = `/etc/buildkit/${CA_FILE}`
const K3S_CA = `/etc/rancher/k3s/${CA_FILE}`
const CONTAINERD_CA = `/etc/containerd/certs.d/${CA_FILE}`

const PRINTERS: Readonly<Record<PrintedKind, (mirror: MirrorSettings) => string>> = {
  talos,
  bottlerocket,
  k3s,
  kind,
  buildkit,
  nerdctl,
}

/** Gives settings to paste. Their first lines are comments that say where they belong, and what has to be done then. */
export function printedSettings(kind: PrintedKind, mirror: MirrorSettings): string {
  return PRINTERS[kind](mirror)
}

function talos(mirror: MirrorSettings): string {
  const ca = mirror.tls?.ca
  return lines(
    '# Machine configuration of Talos: save as leat.yaml, then talosctl patch machineconfig --patch @leat.yaml --nodes …',
    'machine:',
    '  registries:',
    '    mirrors:',
    ...namesOrAll(mirror).flatMap((name) => [
      `      ${JSON.stringify(name)}:`,
      `        endpoints: [${JSON.stringify(urlOf(mirror))}]`,
    ]),
    ...(ca === undefined
      ? []
      : [
          '    config:',
          `      ${JSON.stringify(mirror.address)}:`,
          '        tls:',
          `          ca: ${base64(ca)}`,
        ]),
  )
}

function bottlerocket(mirror: MirrorSettings): string {
  const ca = mirror.tls?.ca
  return lines(
    '# User data of Bottlerocket, for nodes that are created from now on; or apiclient apply on a running one.',
    ...namesOrAll(mirror).flatMap((name) => [
      '[[settings.container-registry.mirrors]]',
      `registry = ${tomlString(name)}`,
      `endpoint = [${tomlString(urlOf(mirror))}]`,
      '',
    ]),
    ...(ca === undefined
      ? []
      : ['[settings.pki.leat]', 'trusted = true', `data = ${tomlString(base64(ca))}`, '']),
  )
    .trimEnd()
    .concat('\n')
}

function k3s(mirror: MirrorSettings): string {
  return lines(
    '# /etc/rancher/k3s/registries.yaml, or /etc/rancher/rke2/registries.yaml; then restart k3s or rke2.',
    ...caHint(mirror, K3S_CA),
    'mirrors:',
    ...namesOrAll(mirror).flatMap((name) => [
      `  ${JSON.stringify(name)}:`,
      `    endpoint: [${JSON.stringify(urlOf(mirror))}]`,
    ]),
    ...(mirror.tls?.ca === undefined
      ? []
      : ['configs:', `  ${JSON.stringify(mirror.address)}:`, '    tls:', `      ca_file: ${K3S_CA}`]),
  )
}

/** A node of kind asks nobody until its containerd has a folder for mirrors, which the chart fills. */
function kind(): string {
  return lines(
    '# Configuration of a cluster: kind create cluster --config FILE. The chart then points each node at its own agent.',
    'kind: Cluster',
    'apiVersion: kind.x-k8s.io/v1alpha4',
    'containerdConfigPatches:',
    '  - |-',
    '    [plugins."io.containerd.grpc.v1.cri".registry]',
    '      config_path = "/etc/containerd/certs.d"',
  )
}

function buildkit(mirror: MirrorSettings): string {
  // BuildKit does not pull the image of the doctor.
  const known = WELL_KNOWN.filter((name) => name !== CHECK_REPOSITORY.registry)
  const names = mirror.only ?? [...new Set([...known, ...mirror.alsoFor])]
  return lines(
    '# /etc/buildkit/buildkitd.toml, then restart buildkitd; or docker buildx create --driver-opt network=host --buildkitd-config FILE.',
    ...caHint(mirror, BUILDKIT_CA),
    ...names.flatMap((name) => [
      `[registry.${tomlString(name)}]`,
      `  mirrors = [${tomlString(mirror.address)}]`,
    ]),
    ...(mirror.tls === undefined || mirror.tls.ca !== undefined
      ? [`[registry.${tomlString(mirror.address)}]`]
      : []),
    ...(mirror.tls === undefined ? ['  http = true'] : []),
    ...(mirror.tls?.ca === undefined ? [] : [`  ca = [${tomlString(BUILDKIT_CA)}]`]),
  )
}

function nerdctl(mirror: MirrorSettings): string {
  const hosts = withMirror(undefined, urlOf(mirror), {
    path: 'hosts.toml',
    certificates: { ca: [], client: [] },
    ca: mirror.tls?.ca === undefined ? undefined : CONTAINERD_CA,
  })
  const folders = mirror.only ?? ['_default']
  return lines(
    ...folders.map((name) => `# /etc/containerd/certs.d/${name}/hosts.toml`),
    '# Without root: the same below ~/.config/containerd/certs.d. nerdctl reads it at every pull.',
    ...caHint(mirror, CONTAINERD_CA),
    hosts.trimEnd(),
  )
}

function caHint({ tls }: MirrorSettings, path: string): readonly string[] {
  return tls?.ca === undefined ? [] : [`# Copy the CA of the agent's certificate to ${path}.`]
}

function namesOrAll({ only }: MirrorSettings): readonly string[] {
  return only ?? ['*']
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function lines(...all: readonly string[]): string {
  return `${all.join('\n')}\n`
}
