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
    const root = flags['server-root']
    draft.source({ dir, namePrefix: flags['name-prefix']?.replace(/^\/+/, ''), exclusive: true })
    if (!dir.startsWith('/')) {
      draft.note(
        `dir is ${JSON.stringify(dir)}; write the whole path, because the agent may start in another folder.`,
      )
    }
    if (root !== undefined && root !== dir) {
      draft.note(`server-root ${root} is not needed: Leat serves the files of ${dir} itself, without nginx.`)
    }
    for (const name of SWITCHES.slice(0, 2)) {
      if (flags[name] !== undefined)
        draft.note(`${name} is not needed: Leat serves the files itself, without nginx.`)
    }
    draft.note('Set listen to the address where nginx has served the images.')
  },
}

function isProcess({ words, image }: Process): boolean {
  return (
    words.some((word) => PROGRAM.test(word)) ||
    (image !== undefined && /(?:static-container-registry|static-oci-registry)/.test(image))
  )
}
