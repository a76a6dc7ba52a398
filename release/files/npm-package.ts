import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installLibraries } from './libraries.ts'
import { runProgram } from './programs.ts'

const FILES = ['dist', 'README.md', 'LICENSE', 'CHANGELOG.md']

/**
 * Packs the built project with the libraries that run in it, so that it installs without a registry. Gives the name of the
 * file, which is in `target`.
 */
export function packNpm(project: string, stage: string, target: string): string {
  installLibraries(project, stage, ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'])
  for (const name of FILES) cpSync(join(project, name), join(stage, name), { recursive: true })
  const {
    scripts: _scripts,
    devDependencies: _development,
    ...given
  } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'))
  const bundled = { ...given, bundleDependencies: Object.keys(given.dependencies) }
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(bundled, null, 2)}\n`)
  return runProgram('npm', ['pack', '--silent', '--pack-destination', target], stage).trim()
}
