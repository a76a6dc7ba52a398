import { cp, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../../testkit/programs.ts'
import { copyOf, type Stage } from './dockerfile.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** Carries out a build stage below a folder of its name. The commands of the last stage would change this machine. */
export async function replayStage(stage: Stage, folder: string, runsCommands: boolean): Promise<void> {
  let cwd = join(folder, stage.name)
  for (const { word, text } of stage.instructions) {
    if (word === 'WORKDIR') {
      cwd = join(folder, stage.name, text)
      await mkdir(cwd, { recursive: true })
    } else if (word === 'RUN' && runsCommands) {
      await run('/bin/sh', ['-ec', text], { cwd, deadlineMs: 300_000 })
    } else if (word === 'COPY') {
      const { from, sources, target } = copyOf(text)
      for (const source of sources) {
        const to = target.endsWith('/') ? join(cwd, target, basename(source)) : join(cwd, target)
        await cp(from === undefined ? join(ROOT, source) : join(folder, from, source), to, {
          recursive: true,
        })
      }
    }
  }
}
