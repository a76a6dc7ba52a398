import { nearest } from '../../config/values/nearest.ts'
import { RuntimeFailure } from '../../runtimes/files/failure.ts'
import { urlOf } from '../../runtimes/files/plan.ts'
import { DEFAULT_CONFIG } from '../../runtimes/kinds/containerd-config.ts'
import { install, type Options, show, uninstall } from '../../runtimes/operations.ts'
import { PRINTED_KINDS, type PrintedKind, printedSettings } from '../../runtimes/printed-settings.ts'
import type { RuntimeReport } from '../../runtimes/report.ts'
import {
  type Command,
  CommandError,
  type Invocation,
  JSON_FLAG,
  singleValue,
  usageError,
} from '../context/command.ts'
import { runtimesOf } from '../context/runtimes.ts'
import { settingFlags } from '../context/settings.ts'
import { mirrorSettingsOf } from '../runtime/mirror-settings.ts'
import { type Action, runtimeText } from '../terminal/runtime-text.ts'

const OPERATIONS = { install, uninstall, show }
const ACTIONS = ['install', 'uninstall', 'show', 'print'] as const

/** `agent runtime install|uninstall|show`, and `agent runtime print KIND`. */
export const runtime: Command = {
  positionals: [
    { name: 'action', help: 'install, uninstall, show or print', choices: ACTIONS },
    {
      name: 'kind',
      help: `with print: what to print settings for: ${PRINTED_KINDS.join(', ')}`,
      choices: PRINTED_KINDS,
      isOptional: true,
    },
  ],
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
    {
      line: 'agent runtime print talos',
      what: 'print the settings to paste for a node whose files cannot be written',
    },
    { line: 'agent runtime uninstall', what: 'restore the configuration of the runtimes' },
  ],
  async run(given, terminal) {
    const action = actionOf(given)
    if (action === 'print') {
      const kind = printedKindOf(given)
      await terminal.out(printedSettings(kind, await mirrorSettingsOf(given, terminal, { isStrict: true })))
      return 0
    }
    if (given.positionals.length > 1) throw usageError(`agent runtime ${action} takes no further argument`)
    const options = optionsOf(action, given)
    const mirror = await mirrorSettingsOf(given, terminal, { isStrict: action === 'install' })
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

function actionOf({ positionals: [name = ''] }: Invocation): (typeof ACTIONS)[number] {
  const action = ACTIONS.find((known) => known === name)
  if (action !== undefined) return action
  throw unknownWord('action', name, ACTIONS)
}

function printedKindOf({ positionals: [, name] }: Invocation): PrintedKind {
  if (name === undefined)
    throw usageError(`agent runtime print needs to know for what; expected ${PRINTED_KINDS.join(', ')}`)
  const kind = PRINTED_KINDS.find((known) => known === name)
  if (kind !== undefined) return kind
  throw unknownWord('kind', name, PRINTED_KINDS)
}

function unknownWord(what: string, name: string, words: readonly string[]): CommandError {
  const suggestion = nearest(name, words)
  const hint = suggestion === undefined ? `expected ${words.join(', ')}` : `did you mean ${suggestion}?`
  return usageError(`unknown ${what} ${JSON.stringify(name)}; ${hint}`)
}

function optionsOf(action: Action, given: Invocation): Options {
  return {
    root: singleValue(given, 'root') ?? '/',
    runtimes: runtimesOf(given),
    isDryRun: action === 'show' || given.switches.has('dry-run'),
    withDiff: given.switches.has('dry-run'),
  }
}
