import { type Process, readFlags } from '../input/process.ts'
import type { Kind } from './kind.ts'

const PROGRAM = /(?:^|\/)(?:static-container-registry|static-oci-registry)(?:\.py)?$/
const SWITCHES = ['omit-constants', 'only-constants', 'help']

/** Images in a folder of skopeo that nginx serves: the command that writes nginx's configuration. */
export const staticContainerRegistry: Kind = {
  name: 'static-container-registry',
  title: 'static-container-registry',
  recognizes: ({ processes }) => processes.some(isProcess),
  convert({ processes }, draft) {
    const words = (processes.find(isProcess) ?? processes[0])?.words ?? []
    const program = words.findIndex((word) => PROGRAM.test(word))
    const end = words.findIndex((word, i) => i > program && /^(?:[0-9]?>.*|\||&&|;|\|\||tee)$/.test(word))
    const { flags, others } = readFlags(words.slice(program + 1, end < 0 ? undefined : end), SWITCHES)
    const dir = others.find((word) => !word.includes('>')) ?? '.'
    draft.source({ dir, namePrefix: flags['name-prefix']?.replace(/^\/+/, ''), exclusive: true })
    if (!dir.startsWith('/')) {
      draft.note(
        `dir is ${JSON.stringify(dir)}; write the whole path, because the agent may start in another folder.`,
      )
    }
    draft.note(
      `Leat serves the files of ${dir} itself: set listen to the address where nginx has served them.`,
    )
    draft.note(`To serve them by nginx as before: ${exportCommand(dir, flags)}.`)
  },
}

/** The command that writes what the tool has written. */
function exportCommand(dir: string, flags: Readonly<Record<string, string | undefined>>): string {
  const [without, only] = SWITCHES.map((name) => flags[name] !== undefined)
  const constants = only === true ? 'only' : without === true ? 'without' : undefined
  const options = Object.entries({
    'name-prefix': flags['name-prefix'],
    'server-root': flags['server-root'],
    constants,
  })
  const given = options.flatMap(([name, value]) =>
    value === undefined ? [] : ` --${name} ${inShell(value)}`,
  )
  return `agent export --from ${inShell(`dir:${dir}`)} --to static:DIR --nginx FILE${given.join('')}`
}

/** In quotes if the shell would not take it as it is. */
function inShell(word: string): string {
  return /^[\w./:@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function isProcess({ words, image }: Process): boolean {
  return (
    words.some((word) => PROGRAM.test(word)) ||
    (image !== undefined && /(?:static-container-registry|static-oci-registry)/.test(image))
  )
}
