import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { now } from '../../client/jobs.ts'
import type { Context } from '../../context.ts'
import { findProgram } from '../../program.ts'
import { withResources } from '../../resources.ts'
import { type Agent, NAMESPACE } from '../../servers/agent.ts'
import { REPOSITORY } from '../../servers/measured-server.ts'
import { ratios } from '../../stats.ts'
import { writeLayout } from './oci-layout.ts'

const run = promisify(execFile)
const MIB = 1 << 20
const LAYERS = 4
const LAYER_BYTES = 128 * MIB
/** The agent has an upstream that it never asks. */
const NO_UPSTREAM = 1
const IMAGE = `${NAMESPACE}/${REPOSITORY}:v1`

/** A command that reads an image of 512 MiB and writes it somewhere; `clear` removes what it has written. */
interface Copy {
  run(): Promise<unknown>
  clear(): Promise<unknown>
}

/** Export and import of an image, each in turns with skopeo. */
export function exportAndImport(context: Context): Promise<void> {
  const skopeo = findProgram('skopeo')
  if (skopeo === undefined) {
    const notes = ['skopeo is not installed']
    context.report({ name: 'export and import', figures: [], checks: [], notes })
    return Promise.resolve()
  }
  return withResources(async (resources) => {
    const folder = resources.add(context.folder('copies'))
    const content = context.content(folder.path)
    const image = await content.image(LAYERS, LAYER_BYTES)
    const layout = join(folder.path, 'layout')
    writeLayout(layout, image, IMAGE)
    const start = async (name: string): Promise<Agent> => {
      const agent = await context.agent(join(folder.path, name), NO_UPSTREAM)
      if (agent === undefined) throw new Error('this row needs the agent')
      return agent
    }
    const { agentEntry = '', nodeArgs } = context.settings
    const leat = (...args: string[]): Promise<unknown> =>
      run(process.execPath, [...nodeArgs, agentEntry, ...args])
    const target = join(folder.path, 'target')
    const clearTarget = async (): Promise<void> => rmSync(target, { recursive: true, force: true })
    const copy = (from: string): Copy => ({
      // Without it, skopeo compresses what is not compressed.
      run: () =>
        run(skopeo, [
          ...['copy', '--quiet', '--preserve-digests', '--src-tls-verify=false'],
          ...[from, `oci:${target}:v1`],
        ]),
      clear: clearTarget,
    })
    const exported = (...args: string[]): Copy => ({
      run: () => leat('export', IMAGE, '--to', `oci:${target}`, ...args),
      clear: clearTarget,
    })
    const fromLayout = copy(`oci:${layout}:${IMAGE}`)

    const running = resources.add(await start('leat-running'))
    const admin = ['--admin', `127.0.0.1:${running.adminPort}`]
    const data = ['--data', running.data]
    const imported: Copy = {
      run: () => leat('import', `oci:${layout}`, ...data),
      clear: () => leat('rm', '--force', IMAGE, ...admin),
    }
    await compare(context, 'image of 512 MiB, import into a running agent', imported, {
      name: 'skopeo copy, from the same layout',
      copy: fromLayout,
    })
    await imported.run()
    const empty = join(folder.path, 'leat-empty')
    const importedHere: Copy = {
      run: () => leat('import', `oci:${layout}`, '--data', empty),
      clear: async () => rmSync(empty, { recursive: true, force: true }),
    }
    await compare(context, 'image of 512 MiB, import into a data folder', importedHere, {
      name: 'skopeo copy, from the same layout',
      copy: fromLayout,
    })
    const registry = `docker://127.0.0.1:${running.port}/${IMAGE}`
    await compare(context, 'image of 512 MiB, export from a running agent', exported(...admin), {
      name: 'skopeo copy, from the same agent',
      copy: copy(registry),
    })
    await running.stop()
    await compare(context, 'image of 512 MiB, export from a data folder', exported(...data), {
      name: 'skopeo copy, from a layout',
      copy: fromLayout,
    })
    await compare(context, 'image of 512 MiB, export from a layout', exported('--from', `oci:${layout}`), {
      name: 'skopeo copy, from the same layout',
      copy: fromLayout,
    })
  })
}

async function compare(
  context: Context,
  name: string,
  leat: Copy,
  skopeo: { readonly name: string; readonly copy: Copy },
): Promise<void> {
  const times = { leat: [] as number[], skopeo: [] as number[] }
  for (let round = -1; round < context.repetitions; round++) {
    const ours = await timeOf(leat)
    const theirs = await timeOf(skopeo.copy)
    if (round < 0) continue
    times.leat.push(ours)
    times.skopeo.push(theirs)
  }
  context.report({
    name,
    figures: [
      { side: 'leat', unit: 'ms', values: times.leat },
      { side: skopeo.name, unit: 'ms', values: times.skopeo },
    ],
    checks: [
      { label: 'rate of leat / skopeo', unit: 'x', values: ratios(times.skopeo, times.leat), atLeast: 0.7 },
    ],
    notes: [],
  })
}

async function timeOf(copy: Copy): Promise<number> {
  const startedAt = now()
  await copy.run()
  const ms = now() - startedAt
  await copy.clear()
  return ms
}
