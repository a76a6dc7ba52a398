import type { OriginalFiles } from '../files/original-files.ts'
import { type MirrorSettings, type Plan, urlOf } from '../files/plan.ts'
import type { RuntimeKind } from '../files/runtime-kind.ts'
import { caEdits, caPath, caPaths, trustNotes } from './certificates.ts'
import { planHosts } from './containerd-hosts.ts'
import { readSettings, withDockerMirror, withoutDockerMirror } from './daemon-json.ts'
import { removeMarkedPart } from './remove-marked-part.ts'

const PATH = '/etc/docker/daemon.json'
/** Certificates, and mirrors for a dockerd that keeps images in containerd. */
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

  /**
   * Docker 28 and later with images in containerd reads hosts.toml files at every pull, for all registries. Otherwise Docker
   * reads daemon.json at its start, for docker.io only. That may change with an upgrade, so both are written.
   */
  async plan(mirror, originals) {
    const daemon = await planDaemonJson(mirror, originals)
    const hosts = await planHosts({ folders: [CERTIFICATES], target: CERTIFICATES }, mirror, originals)
    return {
      edits: [...daemon.edits, ...(await caEdits(CERTIFICATES, mirror, originals)), ...hosts.edits],
      todo: [...daemon.todo, ...hosts.todo],
      notes: [...daemon.notes, ...hosts.notes, ...trustNotes(mirror)],
    }
  },

  async candidatePaths(_mirror, originals) {
    const folders = await originals.files.folders(CERTIFICATES)
    return [
      PATH,
      caPath(CERTIFICATES),
      ...(await caPaths(CERTIFICATES, originals)),
      ...folders.map((name) => `${CERTIFICATES}/${name}/hosts.toml`),
    ]
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

/** Mirrors of docker.io, for a dockerd that keeps images in graph drivers. */
async function planDaemonJson(mirror: MirrorSettings, originals: OriginalFiles): Promise<Plan> {
  if (mirror.only !== undefined && !mirror.only.includes('docker.io')) {
    const note = `${PATH} has mirrors only for docker.io, which --only does not name`
    return { edits: [], todo: [], notes: [note] }
  }
  const file = await fileWithMirrorFlag(originals)
  if (file !== undefined) {
    const todo = `dockerd is started with --registry-mirror (${file}) and would not start with mirrors in ${PATH} as well: move them to ${PATH}, and run this command again`
    return { edits: [], todo: [todo], notes: [] }
  }
  const text = withDockerMirror(await originals.text(PATH), urlOf(mirror), PATH)
  const ca = await caEdits(`${CERTIFICATES}/${mirror.address}`, mirror, originals)
  return { edits: [{ path: PATH, text }, ...ca], todo: [], notes: [] }
}

async function fileWithMirrorFlag(originals: OriginalFiles): Promise<string | undefined> {
  const dropIns = (await originals.files.names(DROP_INS)).map((name) => `${DROP_INS}/${name}`)
  for (const path of [...COMMAND_LINE_FILES, ...dropIns]) {
    const text = (await originals.files.read(path))?.toString('utf8') ?? ''
    if (/^[^#\n]*--registry-mirror\b/m.test(text)) return path
  }
  return undefined
}
