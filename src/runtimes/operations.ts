import { applyChanges, type Change, planChanges, planRestoration } from './changes.ts'
import { RuntimeFailure } from './files/failure.ts'
import { HostFiles } from './files/host-files.ts'
import { type FileEntry, InstallRecord } from './files/install-record.ts'
import { OriginalFiles } from './files/original-files.ts'
import { type MirrorSettings, RUNTIMES, type Runtime } from './files/plan.ts'
import type { RuntimeKind } from './files/runtime-kind.ts'
import { containerd, isOwnConfig } from './kinds/containerd.ts'
import { crio } from './kinds/crio.ts'
import { docker } from './kinds/docker.ts'
import { failureReport, type RuntimeReport, reportOf } from './report.ts'

const KINDS: readonly RuntimeKind[] = [containerd, crio, docker]

export interface Options {
  readonly root: string
  /** Undefined for the runtimes that are found. */
  readonly runtimes: readonly Runtime[] | undefined
  /** Nothing is written; the report says what would be. */
  readonly isDryRun: boolean
  /** The report has the lines that change. */
  readonly withDiff?: boolean
}

/** Makes the runtimes of a host ask the agent first. A repeated install changes only what is no longer current. */
export async function install(mirror: MirrorSettings, options: Options): Promise<readonly RuntimeReport[]> {
  const files = new HostFiles(options.root)
  const record = await InstallRecord.open(files)
  return await forEachKind(await selectKinds(files, record, mirror, options), async (kind) => {
    const originals = new OriginalFiles(files, record, kind)
    const isInstalled = record.entriesOf(kind.runtime).length > 0
    const writeConfig = mirror.writeConfig || hasWrittenConfig(record.entriesOf(kind.runtime))
    const settings = { ...mirror, writeConfig }
    const plan = await kind.plan(settings, originals)
    const changes = await planChanges(plan, { kind, mirror: settings, record, originals })
    if (!options.isDryRun) await applyChanges(changes, files, record)
    const { todo, notes, byOthers = [] } = plan
    const isDone = !options.isDryRun || changes.every(({ state }) => state === 'current')
    const pointsHere = isDone && todo.length === 0 && plan.edits.length + byOthers.length > 0
    return await reportOf(kind, changes, {
      originals,
      todo,
      notes,
      pointsHere,
      byOthers,
      isInstalled: isInstalled || record.entriesOf(kind.runtime).length > 0,
      withDiff: options.withDiff === true,
    })
  })
}

/** Reports the current settings, and what an install would change. Nothing is written. */
export async function show(
  mirror: MirrorSettings,
  options: Omit<Options, 'isDryRun'>,
): Promise<readonly RuntimeReport[]> {
  const record = await InstallRecord.open(new HostFiles(options.root))
  const entry = RUNTIMES.flatMap((runtime) => record.entriesOf(runtime))[0]
  const only = mirror.only ?? entry?.registries ?? undefined
  const alsoFor = [...new Set([...mirror.alsoFor, ...(entry?.alsoFor ?? [])])]
  const tls = mirror.tls && { ca: mirror.tls.ca ?? entry?.ca ?? undefined }
  return await install({ ...mirror, only, alsoFor, tls }, { ...options, isDryRun: true })
}

/** Restores the settings. */
export async function uninstall(mirror: MirrorSettings, options: Options): Promise<readonly RuntimeReport[]> {
  const files = new HostFiles(options.root)
  const record = await InstallRecord.open(files)
  return await forEachKind(await selectKinds(files, record, mirror, options), async (kind) => {
    const originals = new OriginalFiles(files, record, kind)
    const changes: Change[] = []
    const failures: string[] = []
    // A file that cannot be restored does not keep the others from being restored.
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work()
      } catch (error) {
        if (!(error instanceof RuntimeFailure)) throw error
        failures.push(error.message)
      }
    }
    const paths = new Set(record.entriesOf(kind.runtime).map(({ path }) => path))
    if (paths.size === 0) {
      await attempt(async () => {
        for (const path of await kind.candidatePaths(mirror, originals)) paths.add(path)
      })
    }
    for (const path of paths) {
      await attempt(async () => {
        const restoration = await planRestoration(path, { kind, record, originals })
        if (restoration === undefined) return
        if (!options.isDryRun) await applyChanges([restoration], files, record)
        changes.push(restoration)
      })
    }
    const report = await reportOf(kind, changes, {
      originals,
      todo: [],
      notes: [],
      byOthers: [],
      isInstalled: record.entriesOf(kind.runtime).length > 0,
      pointsHere: undefined,
      withDiff: options.withDiff === true,
    })
    return failures.length === 0 ? report : { ...report, failure: [...new Set(failures)].join('; ') }
  })
}

/** The permission to write containerd's configuration holds until an uninstall. */
function hasWrittenConfig(entries: readonly FileEntry[]): boolean {
  return entries.some(({ runtime, path }) => runtime === 'containerd' && isOwnConfig(path))
}

async function selectKinds(
  files: HostFiles,
  record: InstallRecord,
  mirror: MirrorSettings,
  { root, runtimes }: Options,
): Promise<readonly RuntimeKind[]> {
  if (runtimes !== undefined) return KINDS.filter(({ runtime }) => runtimes.includes(runtime))
  const found: RuntimeKind[] = []
  for (const kind of KINDS) {
    const exist = await Promise.all(kind.detectionPaths(mirror).map((path) => files.exists(path)))
    if (exist.includes(true) || record.entriesOf(kind.runtime).length > 0) found.push(kind)
  }
  if (found.length > 0) return found
  throw new RuntimeFailure(
    `no container runtime was found ${root === '/' ? 'on this host' : `below ${root}`}; name one with --runtime`,
  )
}

/** A runtime that fails does not stop the others. */
async function forEachKind(
  kinds: readonly RuntimeKind[],
  work: (kind: RuntimeKind) => Promise<RuntimeReport>,
): Promise<readonly RuntimeReport[]> {
  const reports: RuntimeReport[] = []
  for (const kind of kinds) {
    try {
      reports.push(await work(kind))
    } catch (error) {
      if (!(error instanceof RuntimeFailure)) throw error
      reports.push(failureReport(kind, error.message))
    }
  }
  return reports
}
