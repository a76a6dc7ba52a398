import type { Kind } from '../files/kind.ts'
import { urlOf } from '../files/plan.ts'
import type { Present } from '../files/present.ts'
import { caEdits, caPlaces, trustNotes } from './certificates.ts'
import { cutOurs } from './cut-ours.ts'
import { readSettings, withDockerMirror, withoutDockerMirror } from './daemon-json.ts'

const PATH = '/etc/docker/daemon.json'
const CERTIFICATES = '/etc/docker/certs.d'
/** Where distributions and people put dockerd's command line. */
const COMMAND_LINES = [
  '/etc/default/docker',
  '/etc/sysconfig/docker',
  '/lib/systemd/system/docker.service',
  '/usr/lib/systemd/system/docker.service',
  '/etc/systemd/system/docker.service',
]
const DROP_INS = '/etc/systemd/system/docker.service.d'

export const docker: Kind = {
  runtime: 'docker',
  name: 'Docker',
  signs: () => ['/etc/docker', '/usr/bin/dockerd', '/usr/sbin/dockerd', '/usr/local/bin/dockerd'],

  async plan(wanted, present) {
    if (wanted.registries !== undefined && !wanted.registries.includes('docker.io')) {
      const note =
        'Docker has mirrors for docker.io and no other registry, and --registry does not name that one'
      return { edits: [], todo: [], notes: [note] }
    }
    const file = await flagIn(present)
    if (file !== undefined) {
      const todo = `dockerd is started with --registry-mirror (${file}) and would not start with mirrors in ${PATH} too: put them there instead, and run this again`
      return { edits: [], todo: [todo], notes: [] }
    }
    const text = withDockerMirror(await present.text(PATH), urlOf(wanted), PATH)
    const edits = [
      { path: PATH, text },
      ...(await caEdits(`${CERTIFICATES}/${wanted.address}`, wanted, present)),
    ]
    return { edits, todo: [], notes: trustNotes(wanted) }
  },

  async places(_wanted, present) {
    return [PATH, ...(await caPlaces(CERTIFICATES, present))]
  },

  cut(text, what) {
    const { path, url, before } = what
    if (path !== PATH) return cutOurs(text, what)
    if (url !== undefined) return withoutDockerMirror(text, url, { path, before })
    readSettings(text, path)
    return text
  },

  async followUp(changed) {
    return changed.includes(PATH) ? 'let Docker read it: systemctl reload docker' : undefined
  },
}

async function flagIn(present: Present): Promise<string | undefined> {
  const dropIns = (await present.files.names(DROP_INS)).map((name) => `${DROP_INS}/${name}`)
  for (const path of [...COMMAND_LINES, ...dropIns]) {
    const text = (await present.files.read(path))?.toString('utf8') ?? ''
    if (/^[^#\n]*--registry-mirror\b/m.test(text)) return path
  }
  return undefined
}
