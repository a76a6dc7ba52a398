import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../../testkit/programs.ts'
import { type Image, imageOf, plainLayer } from '../../../testkit/registries/image.ts'
import { argumentsOf, environmentOf, readDockerfile, type Stage } from '../../start/dockerfile.ts'
import { replayStage } from '../../start/replay-stage.ts'
import { writeBase } from './base-files.ts'
import { CACHE, ROOT } from './programs.ts'

const PREFIX = 'agent-'
const PATH = '/usr/local/bin:/usr/bin:/bin'

/** The image of the Dockerfile, with programs of this machine in the place of its base. Its layer is kept for the next test. */
export async function agentImage(): Promise<Image> {
  const stages = readDockerfile(await readFile(join(ROOT, 'Dockerfile'), 'utf8'))
  const last = stages.at(-1)
  if (last === undefined) throw new Error('The Dockerfile has no stage.')
  const file = join(CACHE, `${PREFIX}${await sourcesDigest()}.tar`)
  if (!existsSync(file)) await makeLayer(stages, last, file)
  return imageOf([plainLayer(await readFile(file))], containerConfig(last))
}

/** Changes when anything changes that the image is made of. */
async function sourcesDigest(): Promise<string> {
  const hash = createHash('sha256')
  const sources = await readdir(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
  const files = sources.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const others = ['Dockerfile', 'package.json', 'package-lock.json', 'tsconfig.json'].map((name) =>
    join(ROOT, name),
  )
  for (const file of [...files.sort(), ...others]) hash.update(file).update(await readFile(file))
  return hash.update(process.version).digest('hex').slice(0, 16)
}

async function makeLayer(stages: readonly Stage[], last: Stage, file: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-agent-image-'))
  try {
    for (const stage of stages) await replayStage(stage, folder, stage !== last)
    const root = join(folder, last.name)
    await writeBase(root)
    await mkdir(CACHE, { recursive: true })
    for (const old of await readdir(CACHE)) if (old.startsWith(PREFIX)) await rm(join(CACHE, old))
    const made = `${file}.${process.pid}`
    await run('tar', [
      '--create',
      `--file=${made}`,
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '-C',
      root,
      '.',
    ])
    await rename(made, file)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function containerConfig(stage: Stage): object {
  const user = stage.instructions.find(({ word }) => word === 'USER')?.text
  const environment = Object.entries({ PATH, ...environmentOf(stage) })
  return {
    User: user,
    Env: environment.map(([name, value]) => `${name}=${value}`),
    Entrypoint: argumentsOf(stage, 'ENTRYPOINT'),
    Cmd: argumentsOf(stage, 'CMD'),
    WorkingDir: '/app',
  }
}
