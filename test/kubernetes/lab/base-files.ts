import { copyFile, mkdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { findProgram, run } from '../../../testkit/programs.ts'

/** What the containers of the chart run besides Node. */
const PROGRAMS = ['env', 'install', 'sh', 'sleep', 'tee', 'tini']
/** `ldd` prints `name => /path (0x…)`, and the loader as `/path (0x…)`. */
const LIBRARY = /(?:=>\s+|^\s+)(\/\S+) \(0x/gm

/**
 * Writes what an image of Node has that the agent needs: Node, a shell, a few programs of this machine and their libraries, and what
 * the commands of the Dockerfile's last stage make.
 */
export async function writeBase(root: string): Promise<void> {
  await copyProgram(process.execPath, join(root, 'usr/local/bin/node'), root)
  for (const name of PROGRAMS) {
    const path = findProgram(name)
    if (path === undefined) throw new Error(`The program ${name} is missing.`)
    await copyProgram(path, join(root, 'usr/bin', name), root)
  }
  await symlink('usr/bin', join(root, 'bin'))
  await symlink('/app/dist/main.js', join(root, 'usr/local/bin/agent'))
  for (const folder of ['etc', 'tmp', 'proc', 'sys', 'dev', 'var/lib/leat']) {
    await mkdir(join(root, folder), { recursive: true })
  }
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n')
  await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n')
}

async function copyProgram(path: string, target: string, root: string): Promise<void> {
  await copy(path, target)
  const { stdout } = await run('ldd', [path])
  for (const [, library = ''] of stdout.matchAll(LIBRARY)) await copy(library, join(root, library))
}

async function copy(path: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  await copyFile(await realpath(path), target)
}
