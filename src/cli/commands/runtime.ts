import { loadSetting } from '../../config/load.ts'
import { formatAddress, isLoopback } from '../../config/values/address.ts'
import { nearest } from '../../config/values/nearest.ts'
import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import { RuntimeFailure } from '../../runtimes/files/failure.ts'
import { RUNTIMES, type Runtime, type Tls, urlOf, type Wanted } from '../../runtimes/files/plan.ts'
import { USUAL_CONFIG } from '../../runtimes/kinds/containerd-config.ts'
import { install, type Options, type RuntimeReport, show, uninstall } from '../../runtimes/settings.ts'
import { type Command, CommandError, type Invocation, JSON_FLAG, type Terminal } from '../context/command.ts'
import { agentTls } from '../context/runtime-tls.ts'
import { givenSettings, settingFlags } from '../context/settings.ts'
import { type Action, runtimeText } from '../terminal/runtime-text.ts'

const WORK = { install, uninstall, show }
const ACTIONS: readonly Action[] = ['install', 'uninstall', 'show']

/** `agent runtime install|uninstall|show`. */
export const runtime: Command = {
  words: [{ name: 'action', help: 'install, uninstall or show' }],
  flags: [
    {
      name: 'runtime',
      kind: 'list',
      help: 'containerd, crio (and podman, skopeo, buildah) or docker; may be given several times',
      shown: 'those that are found',
    },
    {
      name: 'root',
      kind: 'text',
      help: 'folder put before every path: where the host’s root is mounted into a container',
      shown: '/',
    },
    {
      name: 'registry',
      kind: 'list',
      help: 'registry whose images are asked of the agent, such as ghcr.io; may be given several times',
      shown: 'all; for crio, which cannot say that, well-known ones and those in its files',
    },
    {
      name: 'write-config',
      kind: 'switch',
      help: 'set config_path in containerd’s own configuration where that is missing; it must be restarted then',
      shown: undefined,
    },
    {
      name: 'containerd-config',
      kind: 'text',
      help: 'containerd’s own configuration',
      shown: USUAL_CONFIG,
    },
    {
      name: 'dry-run',
      kind: 'switch',
      help: 'say what would be written, and write nothing',
      shown: undefined,
    },
    ...settingFlags('listen', 'tlsCert', 'config'),
    {
      name: 'ca-file',
      kind: 'text',
      help: 'PEM file, here, with who has signed the certificate of --tls-cert; the runtimes get a copy',
      shown: 'nobody, unless the end of its chain has signed itself',
    },
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent runtime install', what: 'let the runtimes of this machine ask the agent first' },
    { line: 'agent runtime show', what: 'what is set, and what install would change' },
    {
      line: 'agent runtime install --runtime containerd --root /host --write-config',
      what: 'in a DaemonSet',
    },
    { line: 'agent runtime uninstall', what: 'put everything back as it was' },
  ],
  async run(given, terminal) {
    const action = actionOf(given)
    const options = optionsOf(action, given)
    const wanted = await wantedOf(action, given, terminal)
    const reports = await told(() => WORK[action](wanted, options))
    await terminal.out(
      given.switches.has('json')
        ? `${JSON.stringify({ action, dryRun: options.isRehearsal, runtimes: reports }, undefined, 2)}\n`
        : runtimeText(reports, {
            action,
            isRehearsal: options.isRehearsal,
            address: wanted.tls === undefined ? wanted.address : urlOf(wanted),
          }),
    )
    const failures = reports.flatMap(({ failure }) => failure ?? [])
    if (failures.length > 0) throw new CommandError(failures.join('; '))
    return 0
  },
}

async function told(work: () => Promise<readonly RuntimeReport[]>): Promise<readonly RuntimeReport[]> {
  try {
    return await work()
  } catch (cause) {
    throw cause instanceof RuntimeFailure ? new CommandError(cause.message, { cause }) : cause
  }
}

function actionOf({ words: [word = ''] }: Invocation): Action {
  const action = ACTIONS.find((one) => one === word)
  if (action !== undefined) return action
  const meant = nearest(word, ACTIONS)
  throw wrong(
    `runtime cannot ${JSON.stringify(word)}; ${meant === undefined ? 'it can install, uninstall and show' : `did you mean ${meant}?`}`,
  )
}

function optionsOf(action: Action, given: Invocation): Options {
  const names = listOf(given, 'runtime')
  const runtimes = names.map((name): Runtime => {
    const known = RUNTIMES.find((one) => one === name)
    if (known === undefined)
      throw wrong(`--runtime is ${JSON.stringify(name)}; expected ${RUNTIMES.join(', ')}`)
    return known
  })
  return {
    root: textOf(given, 'root') ?? '/',
    runtimes: runtimes.length === 0 ? undefined : runtimes,
    isRehearsal: action === 'show' || given.switches.has('dry-run'),
  }
}

async function wantedOf(action: Action, given: Invocation, terminal: Terminal): Promise<Wanted> {
  const listen = await loadSetting('listen', givenSettings(given, terminal))
  if (listen.port === 0)
    throw wrong('--listen has port 0, which is any; give the port that the agent listens on')
  // Who listens everywhere is reached from its own machine by loopback.
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[listen.host] ?? listen.host
  const registries = listOf(given, 'registry').map((name) => {
    const registry = parseRegistryHost(name)
    if (registry === undefined) {
      throw wrong(
        `--registry is ${JSON.stringify(name)}; expected a registry such as docker.io or localhost:5000`,
      )
    }
    return registry
  })
  return {
    address: formatAddress({ host, port: listen.port }),
    isLoopback: isLoopback(host),
    tls: await tlsOf(action, host, { given, terminal }),
    registries: registries.length === 0 ? undefined : registries,
    containerdConfig: absolute(textOf(given, 'containerd-config') ?? USUAL_CONFIG),
    writeConfig: given.switches.has('write-config'),
  }
}

async function tlsOf(
  action: Action,
  host: string,
  { given, terminal }: { given: Invocation; terminal: Terminal },
): Promise<Tls | undefined> {
  const certFile = await loadSetting('tlsCert', givenSettings(given, terminal))
  const caFile = textOf(given, 'ca-file')
  if (certFile === undefined) {
    if (caFile === undefined) return undefined
    throw wrong('--ca-file is for an agent that speaks TLS; give its --tls-cert too')
  }
  if (action === 'install') return await agentTls(certFile, { host, caFile })
  // What is there can be told, and taken back, also by who may not read the certificate.
  return await agentTls(certFile, { host, caFile }).catch(() => ({ ca: undefined }))
}

function absolute(path: string): string {
  if (path.startsWith('/')) return path
  throw wrong(`--containerd-config is ${JSON.stringify(path)}; expected a path from the root of the host`)
}

function listOf({ values }: Invocation, flag: string): readonly string[] {
  const value = values[flag]
  return value === undefined ? [] : typeof value === 'string' ? [value] : value
}

function textOf({ values }: Invocation, flag: string): string | undefined {
  const value = values[flag]
  if (value === undefined || typeof value === 'string') return value
  throw wrong(`--${flag} is given more than once; keep one`)
}

function wrong(message: string): CommandError {
  return new CommandError(message, { exitCode: 2 })
}
