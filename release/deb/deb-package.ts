import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { folderBytes } from '../files/libraries.ts'
import { runProgram } from '../files/programs.ts'
import { SCRIPTS } from './scripts.ts'

export type DebArchitecture = 'amd64' | 'arm64'

export interface DebOptions {
  /** As npm writes it, which is also how the name of the file has it. */
  readonly version: string
  readonly architecture: DebArchitecture
  /** `Name <address>` of who publishes the package. */
  readonly maintainer: string
  /** Default: xz, which is small and slow. */
  readonly compression?: 'xz' | 'none'
}

/** Builds a Debian package of the folder `root`, and gives the name of its file, which is in `target`. */
export function buildDeb(root: string, target: string, options: DebOptions): string {
  const { version, architecture, compression = 'xz' } = options
  const control = join(root, 'DEBIAN')
  rmSync(control, { recursive: true, force: true })
  setModes(root)
  const kib = Math.ceil(folderBytes(root) / 1024)
  mkdirSync(control)
  writeFileSync(join(control, 'control'), controlFile(options, kib))
  writeFileSync(join(control, 'conffiles'), '/etc/leat/config.yaml\n')
  for (const [name, text] of Object.entries(SCRIPTS))
    writeFileSync(join(control, name), text, { mode: 0o755 })
  chmodSync(control, 0o755)
  const name = `leat_${version}_${architecture}.deb`
  runProgram(
    'dpkg-deb',
    ['--root-owner-group', `-Z${compression}`, '--build', root, join(target, name)],
    root,
  )
  return name
}

/** Debian sorts `~` before the end of a version, and what follows a `-` after it. */
function debianVersion(version: string): string {
  return version.replaceAll('-', '~')
}

function controlFile({ version, architecture, maintainer }: DebOptions, kib: number): string {
  return `Package: leat
Version: ${debianVersion(version)}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${kib}
Depends: nodejs (>= 20.19), passwd
Recommends: ca-certificates
Section: net
Priority: optional
Description: container images from a verified cache on this machine
 Leat serves container images to containerd, CRI-O, podman and Docker on this
 machine. It stores what it has served, content-addressed and verified, and
 fetches each digest once. Agents of several machines give each other what one
 of them has fetched.
`
}

/** Files can be read by everybody and changed by root, whatever the umask was when they were made. */
function setModes(folder: string): void {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) setModes(path)
    else if (entry.isFile()) chmodSync(path, (statSync(path).mode & 0o100) === 0 ? 0o644 : 0o755)
  }
}
