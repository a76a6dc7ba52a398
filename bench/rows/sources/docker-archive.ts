import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { digestOfFile } from '../../content.ts'

const run = promisify(execFile)

export interface ArchivedImage {
  /** The names with their tags. */
  readonly names: readonly string[]
  /** Tells the config, and so the id, from those of other images. */
  readonly label: string
}

/** Makes an archive for `docker load`: images that have one layer in common, with one file in it. */
export async function dockerArchive(
  folder: string,
  file: { readonly folder: string; readonly name: string },
  images: readonly ArchivedImage[],
): Promise<{ readonly archive: string; readonly layer: string }> {
  mkdirSync(folder, { recursive: true })
  const layerFile = join(folder, 'layer.tar')
  await run('tar', ['-C', file.folder, '-cf', layerFile, file.name])
  const layer = await digestOfFile(layerFile)
  const manifest = images.map(({ names, label }) => {
    const config = JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: { bench: label } },
      rootfs: { type: 'layers', diff_ids: [layer] },
    })
    const name = `${createHash('sha256').update(config).digest('hex')}.json`
    writeFileSync(join(folder, name), config)
    return { Config: name, RepoTags: names, Layers: ['layer.tar'] }
  })
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
  const archive = `${folder}.tar`
  await run('tar', ['-C', folder, '-cf', archive, '.'])
  rmSync(folder, { recursive: true })
  return { archive, layer }
}
