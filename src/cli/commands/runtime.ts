import { loadSetting } from '../../config/load.ts'
import { formatAddress, isLoopback } from '../../config/values/address.ts'
import { nearest } from '../../config/values/nearest.ts'
import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import { RuntimeFailure } from '../../runtimes/files/failure.ts'
import { type MirrorSettings, type Tls, urlOf } from '../../runtimes/files/plan.ts'
import { DEFAULT_CONFIG } from '../../runtimes/kinds/containerd-config.ts'
import { install, type Options, show, uninstall } from '../../runtimes/operations.ts'
import type { RuntimeReport } from '../../runtimes/report.ts'
import {
  type Command,
  CommandError,
  type Invocation,
  JSON_FLAG,
  singleValue,
  type Terminal,
  usageError,
} from '../context/command.ts'
import { agentTls } from '../context/runtime-tls.ts'
import { runtimesOf } from '../context/runtimes.ts'
import { givenSettings, settingFlags } from '../context/settings.ts'
import { type Action, runtimeText } from '../terminal/runtime-text.ts'

const OPERATIONS = { install, uninstall, show }
const ACTIONS: readonly Action[] = ['install', 'uninstall', 'show']

/** `agent runtime install|uninstall|show`. */
export const runtime: Command = {
  positionals: [{ name: 'action', help: 'install, uninstall or show', choices: ACTIONS }],
  flags: [
    {
      name: 'runtime',
      kind: 'list',
      help: 'containerd, crio (also podman, skopeo, buildah) or docker; may be given several times',
      defaultText: 'the runtimes that are found',
    },
    {
      name: 'root',
      kind: 'text',
      help: 'prefix of all paths: where the root of the host is mounted in a container',
      defaultText: '/',
    },
    {
      name: 'registry',
      kind: 'list',
      help: 'registry that runtimes need to be told, such as reg.corp.example; may be given several times',
      defaultText:
        'none; podman and CRI-O, which need a list, also get well-known registries, those in their files, and the upstreams of the settings',
    },
    {
      name: 'only',
      kind: 'list',
      help: 'ask the agent for images of this registry only; may be given several times',
      defaultText: 'all registries',
    },
    {
      name: 'write-config',
      kind: 'switch',
      help: 'set config_path in the configuration of containerd if it is missing; containerd must then be restarted',
      defaultText: undefined,
    },
    {
      name: 'best-effort',
      kind: 'switch',
      help: 'end with exit code 0 although a runtime could not be configured; the report says why',
      defaultText: undefined,
    },
    {
      name: 'containerd-config',
      kind: 'text',
      help: 'path of the configuration of containerd',
      defaultText: DEFAULT_CONFIG,
    },
    {
      name: 'dry-run',
      kind: 'switch',
      help: 'show the lines that would change, without writing them',
      defaultText: undefined,
    },
    ...settingFlags('listen', 'tlsCert', 'config'),
    {
      name: 'ca-file',
      kind: 'text',
      help: 'PEM file, on this machine, with the CA of the --tls-cert certificate; the runtimes get a copy',
      defaultText: 'the last certificate of --tls-cert if it is self-signed, otherwise none',
    },
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent runtime install', what: 'configure the runtimes of this machine to ask the agent first' },
    { line: 'agent runtime show', what: 'show the current configuration, and what install would change' },
    {
      line: 'agent runtime install --runtime containerd --root /host --write-config',
      what: 'configure containerd of the node from a DaemonSet',
    },
    { line: 'agent runtime uninstall', what: 'restore the configuration of the runtimes' },
  ],
  async run(given, terminal) {
    const action = actionOf(given)
    const options = optionsOf(action, given)
    const mirror = await mirrorSettingsOf(action, given, terminal)
    const reports = await withCommandErrors(() => OPERATIONS[action](mirror, options))
    await terminal.out(
      given.switches.has('json')
        ? `${JSON.stringify({ action, dryRun: options.isDryRun, runtimes: reports }, undefined, 2)}\n`
        : runtimeText(reports, {
            action,
            isDryRun: options.isDryRun,
            address: mirror.tls === undefined ? mirror.address : urlOf(mirror),
          }),
    )
    const failures = reports.flatMap(({ failure }) => failure ?? [])
    if (failures.length === 0) return 0
    if (!given.switches.has('best-effort')) throw new CommandError(failures.join('; '))
    await terminal.err(`agent: ${failures.join('; ')}\n`)
    return 0
  },
}

async function withCommandErrors(
  work: () => Promise<readonly RuntimeReport[]>,
): Promise<readonly RuntimeReport[]> {
  try {
    return await work()
  } catch (cause) {
    throw cause instanceof RuntimeFailure ? new CommandError(cause.message, { cause }) : cause
  }
}

function actionOf({ positionals: [name = ''] }: Invocation): Action {
  const action = ACTIONS.find((known) => known === name)
  if (action !== undefined) return action
  const suggestion = nearest(name, ACTIONS)
  throw usageError(
    `unknown action ${JSON.stringify(name)}; ${suggestion === undefined ? 'expected install, uninstall or show' : `did you mean ${suggestion}?`}`,
  )
}

function optionsOf(action: Action, given: Invocation): Options {
  return {
    root: singleValue(given, 'root') ?? '/',
    runtimes: runtimesOf(given),
    isDryRun: action === 'show' || given.switches.has('dry-run'),
    withDiff: given.switches.has('dry-run'),
  }
}

async function mirrorSettingsOf(
  action: Action,
  given: Invocation,
  terminal: Terminal,
): Promise<MirrorSettings> {
  const listen = await loadSetting('listen', givenSettings(given, terminal))
  if (listen.port === 0)
    throw usageError(
      '--listen has port 0, which stands for any port; give the port that the agent listens on',
    )
  // An agent that listens on all addresses is reached through the loopback address.
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[listen.host] ?? listen.host
  const only = registriesOf(given, 'only')
  const upstreams = await upstreamsOf(action, given, terminal)
  return {
    address: formatAddress({ host, port: listen.port }),
    isLoopback: isLoopback(host),
    tls: await tlsOf(action, host, { given, terminal }),
    only: only.length === 0 ? undefined : only,
    alsoFor: [...new Set([...registriesOf(given, 'registry'), ...upstreams])],
    containerdConfig: absolute(singleValue(given, 'containerd-config') ?? DEFAULT_CONFIG),
    writeConfig: given.switches.has('write-config'),
  }
}

/** The registries that the settings name. `show` and `uninstall` also work for users who may not read the settings. */
async function upstreamsOf(
  action: Action,
  given: Invocation,
  terminal: Terminal,
): Promise<readonly string[]> {
  const loading = loadSetting('upstreams', givenSettings(given, terminal))
  const entries = await (action === 'install' ? loading : loading.catch(() => []))
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
  action: Action,
  host: string,
  { given, terminal }: { given: Invocation; terminal: Terminal },
): Promise<Tls | undefined> {
  const certFile = await loadSetting('tlsCert', givenSettings(given, terminal))
  const caFile = singleValue(given, 'ca-file')
  if (certFile === undefined) {
    if (caFile === undefined) return undefined
    throw usageError('--ca-file is only for an agent with TLS; give --tls-cert too')
  }
  if (action === 'install') return await agentTls(certFile, { host, caFile })
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
