import { loadSetting } from '../../config/load.ts'
import { formatAddress, isLoopback } from '../../config/values/address.ts'
import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import type { MirrorSettings, Tls } from '../../runtimes/files/plan.ts'
import { DEFAULT_CONFIG } from '../../runtimes/kinds/containerd-config.ts'
import { type Invocation, singleValue, type Terminal, usageError } from '../context/command.ts'
import { agentTls } from '../context/runtime-tls.ts'
import { givenSettings } from '../context/settings.ts'

/** Reads, from flags and settings, how this machine reaches the agent. `isStrict`: what cannot be read is an error. */
export async function mirrorSettingsOf(
  given: Invocation,
  terminal: Terminal,
  { isStrict }: { isStrict: boolean },
): Promise<MirrorSettings> {
  const listen = await loadSetting('listen', givenSettings(given, terminal))
  if (listen.port === 0)
    throw usageError(
      '--listen has port 0, which stands for any port; give the port that the agent listens on',
    )
  // An agent that listens on all addresses is reached through the loopback address.
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[listen.host] ?? listen.host
  const only = registriesOf(given, 'only')
  const upstreams = await upstreamsOf(given, terminal, isStrict)
  return {
    address: formatAddress({ host, port: listen.port }),
    isLoopback: isLoopback(host),
    tls: await tlsOf(host, { given, terminal, isStrict }),
    only: only.length === 0 ? undefined : only,
    alsoFor: [...new Set([...registriesOf(given, 'registry'), ...upstreams])],
    containerdConfig: absolute(singleValue(given, 'containerd-config') ?? DEFAULT_CONFIG),
    writeConfig: given.switches.has('write-config'),
  }
}

/** The registries that the settings name. `show` and `uninstall` also work for users who may not read the settings. */
async function upstreamsOf(
  given: Invocation,
  terminal: Terminal,
  isStrict: boolean,
): Promise<readonly string[]> {
  const loading = loadSetting('upstreams', givenSettings(given, terminal))
  const entries = await (isStrict ? loading : loading.catch(() => []))
  return entries.map(({ namespace }) => namespace)
}

function registriesOf(given: Invocation, flag: string): readonly string[] {
  return valuesOf(given, flag).map((name) => {
    const registry = parseRegistryHost(name)
    if (registry !== undefined) return registry
    throw usageError(
      `--${flag} is ${JSON.stringify(name)}; expected a registry such as docker.io or localhost:5000`,
    )
  })
}

async function tlsOf(
  host: string,
  { given, terminal, isStrict }: { given: Invocation; terminal: Terminal; isStrict: boolean },
): Promise<Tls | undefined> {
  const certFile = await loadSetting('tlsCert', givenSettings(given, terminal))
  const caFile = singleValue(given, 'ca-file')
  if (certFile === undefined) {
    if (caFile === undefined) return undefined
    throw usageError('--ca-file is only for an agent with TLS; give --tls-cert too')
  }
  if (isStrict) return await agentTls(certFile, { host, caFile })
  // `show` and `uninstall` also work for users who may not read the certificate.
  return await agentTls(certFile, { host, caFile }).catch(() => ({ ca: undefined }))
}

function absolute(path: string): string {
  if (path.startsWith('/')) return path
  throw usageError(`--containerd-config is ${JSON.stringify(path)}; expected an absolute path on the host`)
}

function valuesOf({ values }: Invocation, flag: string): readonly string[] {
  const value = values[flag]
  return value === undefined ? [] : typeof value === 'string' ? [value] : value
}
