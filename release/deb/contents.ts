import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { COMMANDS } from '../../src/cli/command-list.ts'
import { bashCompletion } from '../../src/cli/completion/bash.ts'
import { commandWords } from '../../src/cli/completion/command-words.ts'
import { fishCompletion } from '../../src/cli/completion/fish.ts'
import { zshCompletion } from '../../src/cli/completion/zsh.ts'
import { installLibraries, type Platform } from '../files/libraries.ts'
import { manPages } from '../man/man-pages.ts'
import { projectVersion } from '../version.ts'
import { CONFIG_FILE } from './scripts.ts'

const PROGRAM = 'usr/lib/leat'
const UNITS = 'usr/lib/systemd/system'

/** Puts the files of the package for one platform into the empty folder `root`, as they will lie below `/`. */
export async function fillPackage(project: string, root: string, platform: Platform): Promise<void> {
  const write = (path: string, content: string | Buffer): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  mkdirSync(join(root, PROGRAM), { recursive: true })
  installLibraries(project, join(root, PROGRAM), [platform])
  cpSync(join(project, 'dist'), join(root, PROGRAM, 'dist'), { recursive: true })
  chmodSync(join(root, PROGRAM, 'dist/main.js'), 0o755)
  mkdirSync(join(root, 'usr/bin'), { recursive: true })
  for (const name of ['leat', 'agent']) symlinkSync('../lib/leat/dist/main.js', join(root, 'usr/bin', name))

  const units = join(project, 'deploy/systemd')
  for (const name of readdirSync(units))
    write(join(UNITS, name), unitOf(readFileSync(join(units, name), 'utf8')))
  write('etc/leat/config.yaml', CONFIG_FILE)

  for (const [name, text] of await manPages(projectVersion(project))) {
    write(
      `usr/share/man/man1/${name}.gz`,
      gzipSync(text.replaceAll(/^\.so man1\/(.*)$/gm, '.so man1/$1.gz'), { level: 9 }),
    )
  }
  const words = await commandWords(COMMANDS)
  for (const name of ['leat', 'agent'])
    write(`usr/share/bash-completion/completions/${name}`, bashCompletion(words))
  write('usr/share/zsh/vendor-completions/_leat', zshCompletion(words))
  write('usr/share/fish/vendor_completions.d/leat.fish', fishCompletion(words))

  const docs = 'usr/share/doc/leat'
  write(`${docs}/copyright`, readFileSync(join(project, 'LICENSE')))
  write(`${docs}/changelog.gz`, gzipSync(readFileSync(join(project, 'CHANGELOG.md')), { level: 9 }))
  write(`${docs}/README.md`, readFileSync(join(project, 'README.md')))
  write(`${docs}/settings.md`, readFileSync(join(project, 'docs/reference/settings.md')))
}

/** A unit of deploy/systemd for the paths of the package, and that of the agent with its user and without a data folder. */
function unitOf(text: string): string {
  const forPaths = text
    .replaceAll('/opt/leat/lib/node_modules/leat/dist/', `/${PROGRAM}/dist/`)
    .replaceAll('/opt/leat/lib/node_modules/leat/README.md', '/usr/share/doc/leat/README.md')
    .replaceAll(/^# \/etc\/systemd\/system\/.*\n(?:#.*\n)*/gm, '')
  if (!forPaths.includes('StateDirectory=')) return forPaths
  // The settings file says where the data folder is.
  return forPaths
    .replace(` --data \${STATE_DIRECTORY}`, '')
    .replace('DynamicUser=yes', 'User=leat\nGroup=leat')
}
