import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../../testkit/programs.ts'
import { type Image, imageOf, plainLayer } from '../../../testkit/registries/image.ts'
import { argumentsOf, environmentOf, readDockerfile, type Stage } from '../../start/dockerfile.ts'
import { replayStage } from '../../start/replay-stage.ts'
import { writeBase } from './base-files.ts'
import { CACHE, ROOT } from './programs.ts'

const FOLDER = join(CACHE, 'agent-images')
const PATH = '/usr/local/bin:/usr/bin:/bin'

/** The image of the Dockerfile, with programs of this machine in the place of its base. Its layer is kept for the next test. */
export async function agentImage(): Promise<Image> {
  const stages = readDockerfile(await readFile(join(ROOT, 'Dockerfile'), 'utf8'))
  const last = stages.at(-1)
  if (last === undefined) throw new Error('The Dockerfile has no stage.')
  const file = join(FOLDER, `${await sourcesDigest()}.tar`)
  // Another checkout may remove it at any time.
  const kept = await readFile(file).catch(() => undefined)
  return imageOf([plainLayer(kept ?? (await makeLayer(stages, last, file)))], containerConfig(last))
}

/** Changes when anything changes that the image is made of. */
async function sourcesDigest(): Promise<string> {
  const hash = createHash('sha256')
  const sources = await readdir(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
  const files = sources.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const others = [
    ...['Dockerfile', 'LICENSE', 'package.json', 'package-lock.json', 'tsconfig.json'],
    'test/kubernetes/lab/base-files.ts',
  ].map((name) => join(ROOT, name))
  for (const file of [...files.sort(), ...others]) hash.update(file).update(await readFile(file))
  return hash.update(process.version).digest('hex').slice(0, 16)
}

async function makeLayer(stages: readonly Stage[], last: Stage, file: string): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-agent-image-'))
  try {
    for (const stage of stages) await replayStage(stage, folder, stage !== last)
    const root = join(folder, last.name)
    await writeBase(root)
    const made = join(folder, 'layer.tar')
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
    const layer = await readFile(made)
    await keep(layer, file)
    return layer
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Replaces what earlier sources have made. */
async function keep(layer: Buffer, file: string): Promise<void> {
  await mkdir(FOLDER, { recursive: true })
  for (const old of await readdir(FOLDER))
    if (old.endsWith('.tar')) await rm(join(FOLDER, old), { force: true })
  const written = `${file}.${process.pid}`
  await writeFile(written, layer)
  await rename(written, file)
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
