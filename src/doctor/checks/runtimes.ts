import { plain } from '../../observe/text.ts'
import { RuntimeFailure } from '../../runtimes/files/failure.ts'
import { PERMISSION_DENIED } from '../../runtimes/files/file-failure.ts'
import { type MirrorSettings, urlOf } from '../../runtimes/files/plan.ts'
import { show } from '../../runtimes/operations.ts'
import type { RuntimeReport } from '../../runtimes/report.ts'
import { AS_ROOT, type Finding, notChecked, note, ok, problem, warning } from '../tools/finding.ts'
import { type Address, addressText, localAddress, type NodeSettings } from '../tools/node-settings.ts'
import { checkPull } from './runtimes/check-pull.ts'
import { inspectContainerd, judgeContainerd } from './runtimes/containerd.ts'
import { judgeDocker, queryDocker } from './runtimes/docker.ts'
import { judgePodman, queryPodman } from './runtimes/podman.ts'

const LOOPBACK = /^(?:localhost|::1|127\.[\d.]+)$/

/** Checks whether the runtimes use the agent: by their settings and, if a runtime reports its state, by that. */
export async function checkRuntimes(
  { root, containerdConfig, runtimes }: Pick<NodeSettings, 'root' | 'containerdConfig' | 'runtimes'>,
  { address, isTls, signal }: { address: Address; isTls: boolean; signal: AbortSignal },
): Promise<readonly Finding[]> {
  const local = localAddress(address)
  const mirror = {
    address: addressText(local),
    isLoopback: LOOPBACK.test(local.host),
    tls: isTls ? { ca: undefined } : undefined,
    only: undefined,
    alsoFor: [],
    containerdConfig,
    writeConfig: false,
  } satisfies MirrorSettings
  let reports: readonly RuntimeReport[]
  try {
    reports = await show(mirror, { root, runtimes })
  } catch (error) {
    if (!(error instanceof RuntimeFailure)) throw error
    return [notChecked('runtimes-none', plain(error.message))]
  }
  const context = { address: isTls ? urlOf(mirror) : mirror.address, isExpected: runtimes !== undefined }
  const findings: Finding[] = []
  for (const report of reports) {
    findings.push(...judgeRuntime(report, context))
    if (installedPart(report) === 'none') continue
    findings.push(...(await judgeEffectiveState(report, { ...mirror, root, signal })))
  }
  const isAgentUsed = reports.some((report) => installedPart(report) !== 'none')
  return isAgentUsed || runtimes !== undefined ? findings : [...findings, noRuntime(context.address)]
}

async function judgeEffectiveState(
  { runtime }: RuntimeReport,
  { address, containerdConfig, ...options }: MirrorSettings & { root: string; signal: AbortSignal },
): Promise<readonly Finding[]> {
  switch (runtime) {
    case 'containerd':
      return [
        ...judgeContainerd(await inspectContainerd(containerdConfig, options), { config: containerdConfig }),
        ...(await checkPull('containerd', options)),
      ]
    case 'crio':
      return [...judgePodman(await queryPodman(options), { address }), ...(await checkPull('crio', options))]
    case 'docker':
      return judgeDocker(await queryDocker(options), { address })
  }
}

/** How much of what `agent runtime install` would write is in the settings already. */
function installedPart({
  failure,
  files,
  todo,
  pointsHere,
  byOthers,
}: RuntimeReport): 'all' | 'some' | 'none' {
  if (failure !== undefined) return 'none'
  if (pointsHere === true) return 'all'
  const current = files.filter(({ state }) => state === 'current').length
  if (current > 0) return current === files.length && todo.length === 0 ? 'all' : 'some'
  return byOthers.length > 0 ? 'some' : 'none'
}

function judgeRuntime(
  report: RuntimeReport,
  { address, isExpected }: { address: string; isExpected: boolean },
): readonly Finding[] {
  const { name, failure, todo } = report
  if (failure !== undefined) return [judgeFailure(name, plain(failure))]
  const part = installedPart(report)
  if (part === 'none') return [judgeUnused(report, { address, isExpected })]
  const findings: Finding[] = todo.map((text) =>
    problem(
      'runtime-ignores-settings',
      `the settings of ${name} use ${address} as a mirror, but are ignored`,
      {
        means: 'its pulls go directly to the registry, without an error',
        todo: plain(text),
      },
    ),
  )
  findings.push(...judgeOtherFiles(report, address))
  return findings.length > 0
    ? findings
    : [ok('runtime-settings-use-agent', `the settings of ${name} use ${address} as the first mirror`)]
}

function judgeFailure(name: string, failure: string): Finding {
  if (failure.includes(PERMISSION_DENIED))
    return notChecked('runtime-settings-unreadable', `${name}: ${failure}`, AS_ROOT)
  return problem('runtime-settings-broken', `the settings of ${name} cannot be read: ${failure}`, {
    means: 'the runtime may not be able to read them either',
    todo: 'correct the file; agent runtime show checks it',
  })
}

function noRuntime(address: string): Finding {
  return warning('runtimes-unused', `no runtime of this machine uses ${address} as a mirror`, {
    means: 'all pulls go directly to the registries',
    todo: 'agent runtime install',
  })
}

/** A runtime may be installed without being used. */
function judgeUnused(
  { name, todo, notes, isInstalled }: RuntimeReport,
  { address, isExpected }: { address: string; isExpected: boolean },
): Finding {
  const found = `the settings of ${name} do not use ${address} as a mirror`
  const advice = {
    means: 'its pulls go directly to the registry',
    todo: ['agent runtime install', ...todo, ...notes].map(plain).join('; '),
  }
  return isExpected || isInstalled
    ? problem('runtime-unused', found, advice)
    : note('runtime-unused', found, advice)
}

/** Files that the runtime reads instead of the one that names the agent. */
function judgeOtherFiles({ name, runtime, files }: RuntimeReport, address: string): readonly Finding[] {
  return files
    .filter(({ state }) => state !== 'current')
    .map(({ path }) => {
      const host = runtime === 'containerd' ? /\/([^/]+)\/hosts\.toml$/.exec(path)?.[1] : undefined
      const found =
        host === undefined
          ? `${plain(path)} does not use ${address} as a mirror, though other files of ${name} do`
          : `${plain(path)} does not use ${address} as a mirror, and hides the file that does`
      const affected =
        host === undefined || host === '_default' ? 'some' : plain(host.replace(/_(\d+)_$/, ':$1'))
      return problem('runtime-file-bypasses-agent', found, {
        means: `pulls of ${affected} images bypass the agent`,
        todo: 'run agent runtime install, which adds the agent to this file and keeps the rest of it',
      })
    })
}
