import type { MirrorSettings } from '../../src/runtimes/files/plan.ts'
import { RUNTIMES } from '../../src/runtimes/files/plan.ts'
import type { Options } from '../../src/runtimes/operations.ts'
import type { RuntimeReport } from '../../src/runtimes/report.ts'
import type { Host } from './host.ts'
import { parseDocument } from './toml-document.ts'

export const MIRROR_URL = 'http://127.0.0.1:5050'

export const MIRROR: MirrorSettings = {
  address: '127.0.0.1:5050',
  isLoopback: true,
  tls: undefined,
  only: undefined,
  alsoFor: [],
  containerdConfig: '/etc/containerd/config.toml',
  writeConfig: false,
}

export const CONFIG = '/etc/containerd/config.toml'
export const CERTS = '/etc/containerd/certs.d'
export const DEFAULT_HOSTS = `${CERTS}/_default/hosts.toml`
export const DROP_IN = '/etc/containers/registries.conf.d/50-leat.conf'
export const DAEMON = '/etc/docker/daemon.json'
/** For Docker with images in containerd. */
export const DOCKER_HOSTS = '/etc/docker/certs.d/_default/hosts.toml'
/** A configuration of containerd that looks for mirrors in `CERTS`. */
export const CONFIG_2 = `version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "${CERTS}"\n`

/** Options for all runtimes of the host. */
export function optionsFor(host: Host): Options {
  return { root: host.root, runtimes: RUNTIMES, isDryRun: false }
}

/** The states of all reported files by path. */
export function statesOf(reports: readonly RuntimeReport[]): Record<string, string> {
  return Object.fromEntries(reports.flatMap(({ files }) => files.map(({ path, state }) => [path, state])))
}

/** The hosts of a hosts.toml, in their order. */
export function hostsIn(text: string | undefined): readonly string[] {
  return Object.keys(parseDocument(text ?? '')['host'] as object)
}
