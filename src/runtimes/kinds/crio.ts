import type { Kind } from '../files/kind.ts'
import { insertAt } from '../files/marks.ts'
import type { Present } from '../files/present.ts'
import { caEdits, caPlaces, trustNotes } from './certificates.ts'
import { cutOurs } from './cut-ours.ts'
import { mirrorsFor, type RegistryFile } from './registries-conf.ts'

const MAIN = '/etc/containers/registries.conf'
const FOLDER = '/etc/containers/registries.conf.d'
const CERTIFICATES = '/etc/containers/certs.d'
const USUAL_NAME = '50-leat.conf'
const CRIO_SIGNS = ['/etc/crio', '/usr/bin/crio', '/usr/local/bin/crio']

/** CRI-O, and podman, skopeo and buildah, which read the same files. */
export const crio: Kind = {
  runtime: 'crio',
  name: 'CRI-O and podman',
  signs: () => [...CRIO_SIGNS, '/etc/containers', '/usr/bin/podman'],

  async plan(wanted, present) {
    const files = await othersFiles(present)
    const { address, isLoopback, tls, registries } = wanted
    const isPlain = tls === undefined
    const { text, replaced, notes, standing } = mirrorsFor(files, {
      address,
      registries,
      isInsecure: isPlain && isLoopback,
    })
    const path = `${FOLDER}/${nameAfter(replaced)}`
    const theirs = (await present.text(path)) ?? ''
    const todo =
      isLoopback || !isPlain
        ? []
        : [
            `podman and CRI-O speak only TLS to ${address}, because it is not this machine: give the agent --tls-cert and --tls-key`,
          ]
    const edits =
      text === ''
        ? []
        : [
            { path, text: insertAt(theirs, theirs.length, text) },
            ...(await caEdits(`${CERTIFICATES}/${address}`, wanted, present)),
          ]
    return { edits, todo, notes: [...notes, ...trustNotes(wanted)], byOthers: standing }
  },

  async places(_wanted, present) {
    const files = (await dropIns(present)).map((name) => `${FOLDER}/${name}`)
    return [...files, ...(await caPlaces(CERTIFICATES, present))]
  },

  cut: cutOurs,

  async followUp(changed, present) {
    if (changed.length === 0) return undefined
    for (const sign of CRIO_SIGNS) {
      if (await present.files.exists(sign))
        return 'let CRI-O read it: systemctl reload crio (podman reads it at every pull)'
    }
    return undefined
  },
}

async function dropIns(present: Present): Promise<readonly string[]> {
  return (await present.files.names(FOLDER)).filter((name) => name.endsWith('.conf'))
}

async function othersFiles(present: Present): Promise<readonly RegistryFile[]> {
  const files: RegistryFile[] = []
  for (const path of [MAIN, ...(await dropIns(present)).map((name) => `${FOLDER}/${name}`)]) {
    const text = await present.text(path)
    if (text !== undefined) files.push({ name: path, text })
  }
  return files
}

/** Files are read in the order of their names: ours must come after each whose entries it replaces. */
function nameAfter(replaced: readonly string[]): string {
  const last = replaced
    .filter((path) => path.startsWith(`${FOLDER}/`))
    .map((path) => path.slice(FOLDER.length + 1))
    .reduce((latest, name) => (name > latest ? name : latest), '')
  return last > USUAL_NAME ? `${last.slice(0, -'.conf'.length)}.leat.conf` : USUAL_NAME
}
