import type { OriginalFiles } from '../files/original-files.ts'
import { urlOf } from '../files/plan.ts'
import type { RuntimeKind } from '../files/runtime-kind.ts'
import { caEdits, caPaths, trustNotes } from './certificates.ts'
import { readSettings, withDockerMirror, withoutDockerMirror } from './daemon-json.ts'
import { removeMarkedPart } from './remove-marked-part.ts'

const PATH = '/etc/docker/daemon.json'
const CERTIFICATES = '/etc/docker/certs.d'
/** Files in which distributions and operators set the command line of dockerd. */
const COMMAND_LINE_FILES = [
  '/etc/default/docker',
  '/etc/sysconfig/docker',
  '/lib/systemd/system/docker.service',
  '/usr/lib/systemd/system/docker.service',
  '/etc/systemd/system/docker.service',
]
const DROP_INS = '/etc/systemd/system/docker.service.d'

export const docker: RuntimeKind = {
  runtime: 'docker',
  name: 'Docker',
  detectionPaths: () => ['/etc/docker', '/usr/bin/dockerd', '/usr/sbin/dockerd', '/usr/local/bin/dockerd'],

  async plan(mirror, originals) {
    if (mirror.registries !== undefined && !mirror.registries.includes('docker.io')) {
      const note = 'Docker has mirrors only for docker.io, which --registry does not name'
      return { edits: [], todo: [], notes: [note] }
    }
    const file = await fileWithMirrorFlag(originals)
    if (file !== undefined) {
      const todo = `dockerd is started with --registry-mirror (${file}) and would not start with mirrors in ${PATH} as well: move them to ${PATH}, and run this command again`
      return { edits: [], todo: [todo], notes: [] }
    }
    const text = withDockerMirror(await originals.text(PATH), urlOf(mirror), PATH)
    const edits = [
      { path: PATH, text },
      ...(await caEdits(`${CERTIFICATES}/${mirror.address}`, mirror, originals)),
    ]
    return { edits, todo: [], notes: trustNotes(mirror) }
  },

  async candidatePaths(_mirror, originals) {
    return [PATH, ...(await caPaths(CERTIFICATES, originals))]
  },

  removeOwnPart(text, options) {
    const { path, url, before } = options
    if (path !== PATH) return removeMarkedPart(text, options)
    if (url !== undefined) return withoutDockerMirror(text, url, { path, before })
    readSettings(text, path)
    return text
  },

  async followUp(changed) {
    return changed.includes(PATH) ? 'reload Docker: systemctl reload docker' : undefined
  },
}

async function fileWithMirrorFlag(originals: OriginalFiles): Promise<string | undefined> {
  const dropIns = (await originals.files.names(DROP_INS)).map((name) => `${DROP_INS}/${name}`)
  for (const path of [...COMMAND_LINE_FILES, ...dropIns]) {
    const text = (await originals.files.read(path))?.toString('utf8') ?? ''
    if (/^[^#\n]*--registry-mirror\b/m.test(text)) return path
  }
  return undefined
}
