import { plain } from '../../observe/text.ts'
import { RuntimeFailure } from '../../runtimes/files/failure.ts'
import { NOT_ALLOWED } from '../../runtimes/files/host-files.ts'
import { urlOf, type Wanted } from '../../runtimes/files/plan.ts'
import { type RuntimeReport, show } from '../../runtimes/settings.ts'
import { type Finding, notLookedAt, ok, problem, warning } from '../tools/finding.ts'
import { type Address, dialled, type Patient, written } from '../tools/node-settings.ts'
import { judgeContainerd, seeContainerd } from './containerd.ts'
import { judgeDocker, seeDocker } from './docker.ts'
import { judgePodman, seePodman } from './podman.ts'

const LOOPBACK = /^(?:localhost|::1|127\.[\d.]+)$/

/** Whether runtimes are told to ask the agent, by their files, and by themselves where they can be asked. */
export async function lookAtRuntimes(
  { root, containerdConfig }: Pick<Patient, 'root' | 'containerdConfig'>,
  { address, isTls, signal }: { address: Address; isTls: boolean; signal: AbortSignal },
): Promise<readonly Finding[]> {
  const asked = dialled(address)
  const wanted = {
    address: written(asked),
    isLoopback: LOOPBACK.test(asked.host),
    tls: isTls ? { ca: undefined } : undefined,
    registries: undefined,
    containerdConfig,
    writeConfig: false,
  } satisfies Wanted
  let reports: readonly RuntimeReport[]
  try {
    reports = await show(wanted, { root, runtimes: undefined })
  } catch (error) {
    if (!(error instanceof RuntimeFailure)) throw error
    return [notLookedAt(plain(error.message))]
  }
  const context = {
    address: isTls ? urlOf(wanted) : wanted.address,
    isAnyPointed: reports.some((report) => partOf(report) !== 'none'),
  }
  const findings: Finding[] = []
  for (const report of reports) {
    findings.push(...judgeRuntime(report, context))
    if (partOf(report) === 'none') continue
    findings.push(...(await itsOwnWords(report, { ...wanted, root, signal })))
  }
  return findings
}

async function itsOwnWords(
  { runtime }: RuntimeReport,
  { address, containerdConfig, ...where }: Wanted & { root: string; signal: AbortSignal },
): Promise<readonly Finding[]> {
  switch (runtime) {
    case 'containerd':
      return judgeContainerd(await seeContainerd(containerdConfig, where), { config: containerdConfig })
    case 'crio':
      return judgePodman(await seePodman(where), { address })
    case 'docker':
      return judgeDocker(await seeDocker(where), { address })
  }
}

/** How much of what an install would write is there. */
function partOf({ failure, files, todo, pointsHere, byOthers }: RuntimeReport): 'all' | 'some' | 'none' {
  if (failure !== undefined) return 'none'
  if (pointsHere === true) return 'all'
  const there = files.filter(({ state }) => state === 'current').length
  if (there > 0) return there === files.length && todo.length === 0 ? 'all' : 'some'
  return byOthers.length > 0 ? 'some' : 'none'
}

function judgeRuntime(
  report: RuntimeReport,
  { address, isAnyPointed }: { address: string; isAnyPointed: boolean },
): readonly Finding[] {
  const { name, failure, todo } = report
  if (failure !== undefined) return [failed(name, plain(failure))]
  const part = partOf(report)
  if (part === 'none') return [unpointed(report, { address, isAnyPointed })]
  const findings: Finding[] = todo.map((text) =>
    problem(`the settings of ${name} name ${address}, but are ignored`, {
      means: 'its pulls go to the registry itself, without a word',
      todo: plain(text),
    }),
  )
  findings.push(...shadows(report, address))
  return findings.length > 0 ? findings : [ok(`the settings of ${name} name ${address} first`)]
}

function failed(name: string, failure: string): Finding {
  if (failure.includes(NOT_ALLOWED)) return notLookedAt(`${name}: ${failure}`, 'run the doctor as root')
  return problem(`the settings of ${name} cannot be read: ${failure}`, {
    means: 'the runtime may not be able to read them either',
    todo: 'correct that file; agent runtime show tells when it is right',
  })
}

function unpointed(
  { name, todo, notes }: RuntimeReport,
  { address, isAnyPointed }: { address: string; isAnyPointed: boolean },
): Finding {
  const found = `the settings of ${name} do not name ${address}`
  const more = {
    means: 'its pulls go to the registry itself',
    todo: ['agent runtime install', ...todo, ...notes].map(plain).join('; '),
  }
  // One that is not used is left alone on purpose; when none is pointed here, the agent serves nobody.
  return isAnyPointed ? warning(found, more) : problem(found, more)
}

/** Files that a runtime reads in place of the one that points at the agent. */
function shadows({ name, runtime, files }: RuntimeReport, address: string): readonly Finding[] {
  return files
    .filter(({ state }) => state !== 'current')
    .map(({ path }) => {
      const host = runtime === 'containerd' ? /\/([^/]+)\/hosts\.toml$/.exec(path)?.[1] : undefined
      const found =
        host === undefined
          ? `${path} does not point at ${address}, where others of ${name} do`
          : `${plain(path)} does not name ${address}, and hides the file that does`
      const whose =
        host === undefined || host === '_default' ? 'some' : plain(host.replace(/_(\d+)_$/, ':$1'))
      return problem(found, {
        means: `pulls of ${whose} images go past the agent`,
        todo: 'agent runtime install adds the agent there and keeps what is in it',
      })
    })
}
