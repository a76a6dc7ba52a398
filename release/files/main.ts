import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fillPackage } from '../deb/contents.ts'
import { buildDeb, type DebArchitecture } from '../deb/deb-package.ts'
import { projectVersion } from '../version.ts'
import { packChart } from './chart-layout.ts'
import type { Platform } from './libraries.ts'
import { packNpm } from './npm-package.ts'
import { runProgram } from './programs.ts'

const DEBS: readonly (readonly [DebArchitecture, Platform])[] = [
  ['amd64', 'linux-x64'],
  ['arm64', 'linux-arm64'],
]
/** Who publishes the packages: `LEAT_MAINTAINER` of the environment, as Debian writes it. */
const maintainer = process.env['LEAT_MAINTAINER'] ?? 'The authors of Leat <root@localhost>'

/** Writes the files of a release to `.build/release-files`; `npm run release` builds first. */
const project = process.cwd()
const version = projectVersion()
const target = join(project, '.build', 'release-files')
rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
const stage = mkdtempSync(join(tmpdir(), 'leat-release-'))
try {
  const npm = join(stage, 'npm')
  mkdirSync(npm)
  packNpm(project, npm, target)
  for (const [architecture, platform] of DEBS) {
    const root = join(stage, architecture)
    await fillPackage(project, root, platform)
    buildDeb(root, target, { version, architecture, maintainer })
  }
  await packChart(join(project, 'deploy/chart'), target)
  const sbom = ['sbom', '--omit=dev', '--package-lock-only', '--sbom-format=cyclonedx']
  writeFileSync(join(target, `leat-${version}.cdx.json`), runProgram('npm', sbom, project))
  const sums = readdirSync(target).map((name) => {
    const sum = createHash('sha256')
      .update(readFileSync(join(target, name)))
      .digest('hex')
    return `${sum}  ${name}\n`
  })
  writeFileSync(join(target, 'SHA256SUMS'), sums.join(''))
  for (const name of readdirSync(target)) process.stdout.write(`${join(target, name)}\n`)
} finally {
  rmSync(stage, { recursive: true, force: true })
}
