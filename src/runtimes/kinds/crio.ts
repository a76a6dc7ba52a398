import { insertAt } from '../files/markers.ts'
import type { OriginalFiles } from '../files/original-files.ts'
import type { RuntimeKind } from '../files/runtime-kind.ts'
import { caEdits, caPaths, trustNotes } from './certificates.ts'
import { mirrorsFor, type RegistryFile } from './registries-conf.ts'
import { removeMarkedPart } from './remove-marked-part.ts'

const MAIN = '/etc/containers/registries.conf'
const FOLDER = '/etc/containers/registries.conf.d'
const CERTIFICATES = '/etc/containers/certs.d'
const DEFAULT_NAME = '50-leat.conf'
const CRIO_PATHS = ['/etc/crio', '/usr/bin/crio', '/usr/local/bin/crio']

/** CRI-O, and podman, skopeo and buildah, which read the same files. */
export const crio: RuntimeKind = {
  runtime: 'crio',
  name: 'CRI-O and podman',
  detectionPaths: () => [...CRIO_PATHS, '/etc/containers', '/usr/bin/podman'],

  async plan(mirror, originals) {
    const files = await registryFiles(originals)
    const { address, isLoopback, tls, only, alsoFor } = mirror
    const isPlain = tls === undefined
    const { text, replaced, notes, byOthers } = mirrorsFor(files, {
      address,
      only,
      alsoFor,
      isInsecure: isPlain && isLoopback,
    })
    const path = `${FOLDER}/${nameAfter(replaced)}`
    const original = (await originals.text(path)) ?? ''
    const todo =
      isLoopback || !isPlain
        ? []
        : [
            `podman and CRI-O use only TLS for ${address}, because it is not a loopback address: start the agent with --tls-cert and --tls-key`,
          ]
    const edits =
      text === ''
        ? []
        : [
            { path, text: insertAt(original, original.length, text) },
            ...(await caEdits(`${CERTIFICATES}/${address}`, mirror, originals)),
          ]
    return { edits, todo, notes: [...notes, ...trustNotes(mirror)], byOthers }
  },

  async candidatePaths(_mirror, originals) {
    const files = (await dropIns(originals)).map((name) => `${FOLDER}/${name}`)
    return [...files, ...(await caPaths(CERTIFICATES, originals))]
  },

  removeOwnPart: removeMarkedPart,

  async followUp(changed, originals) {
    if (changed.length === 0) return undefined
    for (const path of CRIO_PATHS) {
      if (await originals.files.exists(path))
        return 'reload CRI-O: systemctl reload crio (podman reads its files at every pull)'
    }
    return undefined
  },
}

async function dropIns(originals: OriginalFiles): Promise<readonly string[]> {
  return (await originals.files.names(FOLDER)).filter((name) => name.endsWith('.conf'))
}

async function registryFiles(originals: OriginalFiles): Promise<readonly RegistryFile[]> {
  const files: RegistryFile[] = []
  for (const path of [MAIN, ...(await dropIns(originals)).map((name) => `${FOLDER}/${name}`)]) {
    const text = await originals.text(path)
    if (text !== undefined) files.push({ name: path, text })
  }
  return files
}

/** Files are read in the order of their names, so the own file must come after those whose entries it replaces. */
function nameAfter(replaced: readonly string[]): string {
  const last = replaced
    .filter((path) => path.startsWith(`${FOLDER}/`))
    .map((path) => path.slice(FOLDER.length + 1))
    .reduce((latest, name) => (name > latest ? name : latest), '')
  return last > DEFAULT_NAME ? `${last.slice(0, -'.conf'.length)}.leat.conf` : DEFAULT_NAME
}
