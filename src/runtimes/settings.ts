import { apply, backOf, type Change, changesOf, type FileState } from './changes.ts'
import { RuntimeFailure } from './files/failure.ts'
import { HostFiles } from './files/host-files.ts'
import type { Kind } from './files/kind.ts'
import { type Entry, Ledger } from './files/ledger.ts'
import { RUNTIMES, type Runtime, type Wanted } from './files/plan.ts'
import { Present } from './files/present.ts'
import { containerd, isOwnConfig } from './kinds/containerd.ts'
import { crio } from './kinds/crio.ts'
import { docker } from './kinds/docker.ts'

const KINDS: readonly Kind[] = [containerd, crio, docker]
const NOTHING = { todo: [], notes: [], byOthers: [] }

export interface FileReport {
  readonly path: string
  readonly state: FileState
}

export interface RuntimeReport {
  readonly runtime: Runtime
  readonly name: string
  readonly files: readonly FileReport[]
  /** Undefined after an uninstall. */
  readonly pointsHere: boolean | undefined
  /** What others have pointed here, without an install. */
  readonly byOthers: readonly string[]
  readonly todo: readonly string[]
  readonly notes: readonly string[]
  /** How a running one learns of it; undefined when it need not be told. */
  readonly followUp: string | undefined
  /** What could not be done for this one, and why. */
  readonly failure: string | undefined
}

export interface Options {
  readonly root: string
  /** Undefined: those that are found. */
  readonly runtimes: readonly Runtime[] | undefined
  /** Nothing is written; the report says what would be. */
  readonly isRehearsal: boolean
}

/** Lets the runtimes of a host ask the agent first. A second time changes nothing, or what has to be. */
export async function install(wanted: Wanted, options: Options): Promise<readonly RuntimeReport[]> {
  const files = new HostFiles(options.root)
  const ledger = await Ledger.open(files)
  return await each(await chosen(files, ledger, wanted, options), async (kind) => {
    const present = new Present(files, ledger, kind)
    const wish = { ...wanted, writeConfig: wanted.writeConfig || hasWrittenConfig(ledger.of(kind.runtime)) }
    const plan = await kind.plan(wish, present)
    const changes = await changesOf(plan, { kind, wanted: wish, ledger, present })
    if (!options.isRehearsal) await apply(changes, files, ledger)
    const { byOthers = [] } = plan
    const isSet = !options.isRehearsal || changes.every(({ state }) => state === 'current')
    return await reported(kind, changes, {
      todo: plan.todo,
      notes: plan.notes,
      present,
      pointsHere: isSet && plan.todo.length === 0 && plan.edits.length + byOthers.length > 0,
      byOthers,
    })
  })
}

/** How it is: what an install with the same wishes would still have to change. Nothing is written. */
export async function show(
  wanted: Wanted,
  options: Omit<Options, 'isRehearsal'>,
): Promise<readonly RuntimeReport[]> {
  const ledger = await Ledger.open(new HostFiles(options.root))
  const entry = RUNTIMES.flatMap((runtime) => ledger.of(runtime))[0]
  const registries = wanted.registries ?? entry?.registries ?? undefined
  const tls = wanted.tls && { ca: wanted.tls.ca ?? entry?.ca ?? undefined }
  return await install({ ...wanted, registries, tls }, { ...options, isRehearsal: true })
}

/** Puts everything back. */
export async function uninstall(wanted: Wanted, options: Options): Promise<readonly RuntimeReport[]> {
  const files = new HostFiles(options.root)
  const ledger = await Ledger.open(files)
  return await each(await chosen(files, ledger, wanted, options), async (kind) => {
    const present = new Present(files, ledger, kind)
    const changes: Change[] = []
    const failures: string[] = []
    // A file that cannot be helped does not keep the others from being put back.
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work()
      } catch (error) {
        if (!(error instanceof RuntimeFailure)) throw error
        failures.push(error.message)
      }
    }
    const paths = new Set(ledger.of(kind.runtime).map(({ path }) => path))
    if (paths.size === 0) {
      await attempt(async () => {
        for (const path of await kind.places(wanted, present)) paths.add(path)
      })
    }
    for (const path of paths) {
      await attempt(async () => {
        const back = await backOf(path, { kind, ledger, present })
        if (back === undefined) return
        if (!options.isRehearsal) await apply([back], files, ledger)
        changes.push(back)
      })
    }
    const report = await reported(kind, changes, { ...NOTHING, present, pointsHere: undefined })
    return failures.length === 0 ? report : { ...report, failure: [...new Set(failures)].join('; ') }
  })
}

/** What was allowed once stays until an uninstall. */
function hasWrittenConfig(entries: readonly Entry[]): boolean {
  return entries.some(({ runtime, path }) => runtime === 'containerd' && isOwnConfig(path))
}

async function reported(
  kind: Kind,
  changes: readonly Change[],
  more: Pick<RuntimeReport, 'todo' | 'notes' | 'pointsHere' | 'byOthers'> & { readonly present: Present },
): Promise<RuntimeReport> {
  const { present, ...rest } = more
  const changed = changes
    .filter(({ state }) => state !== 'current' && state !== 'gone')
    .map(({ path }) => path)
  return {
    runtime: kind.runtime,
    name: kind.name,
    files: changes.map(({ path, state }) => ({ path, state })),
    ...rest,
    followUp: await kind.followUp(changed, present),
    failure: undefined,
  }
}

async function chosen(
  files: HostFiles,
  ledger: Ledger,
  wanted: Wanted,
  { root, runtimes }: Options,
): Promise<readonly Kind[]> {
  if (runtimes !== undefined) return KINDS.filter(({ runtime }) => runtimes.includes(runtime))
  const found: Kind[] = []
  for (const kind of KINDS) {
    const there = await Promise.all(kind.signs(wanted).map((sign) => files.exists(sign)))
    if (there.includes(true) || ledger.of(kind.runtime).length > 0) found.push(kind)
  }
  if (found.length > 0) return found
  throw new RuntimeFailure(
    `no container runtime is found ${root === '/' ? 'on this host' : `below ${root}`}; name one with --runtime`,
  )
}

/** One that cannot be helped does not stop the others. */
async function each(
  kinds: readonly Kind[],
  work: (kind: Kind) => Promise<RuntimeReport>,
): Promise<readonly RuntimeReport[]> {
  const reports: RuntimeReport[] = []
  for (const kind of kinds) {
    try {
      reports.push(await work(kind))
    } catch (error) {
      if (!(error instanceof RuntimeFailure)) throw error
      const { runtime, name } = kind
      const nothing = { ...NOTHING, files: [], pointsHere: false, followUp: undefined }
      reports.push({ runtime, name, ...nothing, failure: error.message })
    }
  }
  return reports
}
