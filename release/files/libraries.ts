import { cpSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { runProgram } from './programs.ts'

/** Where native modules have a binary that the packages bring. */
export type Platform = 'linux-x64' | 'linux-arm64' | 'darwin-x64' | 'darwin-arm64'

/** Sources that only a build of a native module needs. The package node-addon-api stays, or npm would fetch it. */
const SOURCES = ['classic-level/deps']

/**
 * Installs the libraries that run, as the lock file has them, into `folder`, without TypeScript and types. Native modules
 * bring binaries for every platform and for another runtime, Bare; only those of `platforms` stay.
 */
export function installLibraries(project: string, folder: string, platforms: readonly Platform[]): void {
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(project, name), join(folder, name))
  const omitted = ['dev', 'optional', 'peer'].map((kind) => `--omit=${kind}`)
  runProgram('npm', ['ci', '--silent', '--ignore-scripts', ...omitted], folder)
  const modules = join(folder, 'node_modules')
  for (const source of SOURCES) rmSync(join(modules, source), { recursive: true, force: true })
  for (const file of readdirSync(modules, { recursive: true, encoding: 'utf8' })) {
    if (isUnused(file.split(sep), platforms)) rmSync(join(modules, file), { force: true })
  }
  rmSync(join(folder, 'package-lock.json'))
}

function isUnused(path: readonly string[], platforms: readonly Platform[]): boolean {
  const at = path.indexOf('prebuilds')
  const [platform, file] = [path[at + 1], path.at(-1) ?? '']
  if (at < 0 || platform === undefined || !/\.(?:node|bare)$/.test(file)) return false
  return (
    file.endsWith('.bare') || file.endsWith('.musl.node') || !platforms.some((one) => isFor(platform, one))
  )
}

/** The folder of a binary that is good for both processors of macOS is called `darwin-x64+arm64`. */
function isFor(folder: string, platform: Platform): boolean {
  const [system, processor = ''] = platform.split('-')
  return (
    folder.startsWith(`${system}-`) &&
    folder
      .slice(platform.indexOf('-') + 1)
      .split('+')
      .includes(processor)
  )
}

/** The bytes of all files in a folder. */
export function folderBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => statSync(join(folder, file)))
    .reduce((sum, stats) => sum + (stats.isFile() ? stats.size : 0), 0)
}
