import { spawn } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { withoutSettings } from '../../../testkit/agent-process.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { answers, Daemon } from '../../../testkit/daemon.ts'
import { run } from '../../../testkit/programs.ts'
import { startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { buildIndex } from '../../../testkit/registries/image.ts'
import { ROOT } from './documented-commands.ts'

/**
 * Runs commands of the documentation as they are written, in a network and with folders that the machine does not see:
 * `unshare --mount --net node world-program.js COMMANDS.json RESULTS.json`. An agent serves at its default ports, and stands
 * for Docker Hub and ghcr.io by a registry of its own.
 */
const [commandsFile = '', resultsFile = ''] = process.argv.slice(2)
const commands = JSON.parse(await readFile(commandsFile, 'utf8')) as readonly string[]
const SERVER = /^(?:sudo )?agent (?:serve|dht)\b/
const IMAGES = [
  ['library/alpine', '3'],
  ['library/alpine', '3.20'],
  ['library/alpine', 'latest'],
  ['acme/app', 'v1'],
  ['team/app', '1'],
] as const
/** The addresses of machines in the pages. */
const ADDRESSES = ['10.0.0.1', '10.0.0.2', '192.168.1.10', '192.168.1.11']
const CONTAINERD =
  'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'

const folder = await mkdtemp(join(tmpdir(), 'leat-docs-'))
const work = join(folder, 'work')
const results: { line: string; code: number | null; output: string }[] = []
try {
  await prepare()
  for (const line of commands.filter((one) => SERVER.test(one))) results.push(await serve(line))
  const agent = new Daemon('the agent', join(folder, 'bin/agent'), ['serve'], {
    cwd: work,
    env: environment(),
  })
  await agent.ready(() => answers('http://127.0.0.1:5051/readyz'))
  await prepareContent()
  for (const line of commands.filter((one) => !SERVER.test(one))) results.push(await execute(line))
  await agent.stop()
} finally {
  await writeFile(resultsFile, JSON.stringify(results))
  await rm(folder, { recursive: true, force: true })
}
process.exit(0)

/** Makes the network, the folders and the registry that stands for all others. */
async function prepare(): Promise<void> {
  await run('ip', ['link', 'set', 'lo', 'up'])
  for (const address of ADDRESSES) await run('ip', ['address', 'add', `${address}/32`, 'dev', 'lo'])
  await cp('/etc', join(folder, 'etc'), { recursive: true, verbatimSymlinks: true })
  await run('mount', ['--bind', join(folder, 'etc'), '/etc'])
  for (const path of ['/srv', '/var/lib']) await run('mount', ['-t', 'tmpfs', 'leat-docs', path])
  const upstream = await startFaultyUpstream()
  for (const [repository, tag] of IMAGES) {
    const index = buildIndex(`${repository}/${tag}`)
    for (const image of index.images) {
      for (const { bytes } of image.blobs) upstream.addBlob(bytes)
      upstream.addManifest(repository, undefined, image.manifest.bytes, image.manifest.mediaType)
    }
    upstream.addManifest(repository, tag, index.manifest.bytes, index.manifest.mediaType)
  }
  const registry = (namespace: string): string =>
    `{ namespace: ${namespace}, host: "${upstream.host}", tls: false }`
  await mkdir(join(folder, 'bin'))
  await mkdir(work)
  await mkdir('/etc/leat', { recursive: true })
  await mkdir('/etc/containers/registries.conf.d', { recursive: true })
  await mkdir('/etc/containerd', { recursive: true })
  const { cert, key } = makeCertificates()
  const secret = `${'0123456789abcdef'.repeat(4)}\n`
  const files: Readonly<Record<string, string>> = {
    '/etc/leat/config.yaml': `upstreams: [${registry('docker.io')}, ${registry('ghcr.io')}, ${registry('registry.corp')}]\nhosted: [team/**]\npeersSecretFile: ${join(work, 'swarm-secret')}\n`,
    '/etc/leat/tls.crt': cert,
    '/etc/leat/tls.key': key,
    '/etc/containerd/config.toml': CONTAINERD,
    '/etc/containers/registries.conf.d/00-docs.conf': ['docker.io', 'ghcr.io']
      .map((name) => `[[registry]]\nprefix = "${name}"\nlocation = "${upstream.host}"\ninsecure = true\n`)
      .join(''),
    [join(work, 'images.txt')]: 'alpine:3.20\nghcr.io/acme/app:v1\n',
    [join(work, 'swarm-secret')]: secret,
    [join(folder, 'bin/agent')]:
      `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, '.build/src/main.js')} "$@"\n`,
    [join(folder, 'bin/sudo')]: '#!/bin/sh\nexec "$@"\n',
    ...(await migrationFiles()),
  }
  for (const [path, text] of Object.entries(files)) await writeFile(path, text)
  for (const name of ['agent', 'sudo']) await chmod(join(folder, 'bin', name), 0o755)
  // `node dist/main.js` is written for the folder of a clone.
  await symlink(join(ROOT, '.build/src'), join(work, 'dist'))
}

/** The files of other tools that the page about moving shows. */
async function migrationFiles(): Promise<Readonly<Record<string, string>>> {
  const page = await readFile(join(ROOT, 'docs/migration.md'), 'utf8')
  const examples = [...page.matchAll(/Before \(`([^`]+)`\):\n\n```\w+\n(.*?)^```/gms)]
  const found = examples.map(([, path = '', text = '']) => [join(work, path.split('/').at(-1) ?? ''), text])
  return { [join(work, 'config.yaml')]: '', ...Object.fromEntries(found) }
}

/** Files and hosted images that commands take for granted. */
async function prepareContent(): Promise<void> {
  const image = 'docker://127.0.0.1:5050/docker.io/library/alpine:3.20'
  const copies = [
    `skopeo copy --src-tls-verify=false --dest-tls-verify=false ${image} docker://127.0.0.1:5050/team/app:1`,
    'agent warm registry.corp/team/app:1',
    `mkdir -p images/alpine /srv/skopeo/alpine /srv/images/alpine`,
    `skopeo copy --src-tls-verify=false ${image} dir:images/alpine/3.20`,
    `cp -r images/alpine/3.20 /srv/skopeo/alpine/3.20 && cp -r images/alpine/3.20 /srv/images/alpine/3.20`,
    `cp -r images/alpine/3.20 /srv/app`,
    `agent export alpine:3.20 --to oci-archive:images.tar && agent export alpine:3.20 --to oci:/srv/layout`,
    `skopeo copy dir:images/alpine/3.20 oci:/srv/layout:v1`,
    `skopeo copy dir:images/alpine/3.20 oci-archive:app.tar:ghcr.io/acme/app:v1`,
    `skopeo copy dir:images/alpine/3.20 docker-archive:saved.tar:acme/app:v1 && gzip saved.tar`,
  ]
  for (const line of copies) {
    const { code, output } = await execute(line)
    if (code !== 0) throw new Error(`${line}: ${output}`)
  }
}

function environment(): Record<string, string | undefined> {
  return {
    ...withoutSettings(),
    PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
    HOME: folder,
    OLD: '0123456789abcdef',
    NEW: 'fedcba9876543210',
  }
}

async function execute(line: string): Promise<(typeof results)[number]> {
  // Who imports the settings of another tool has none of Leat's yet.
  if (line.endsWith('--output config.yaml')) await rm(join(work, 'config.yaml'), { force: true })
  const child = spawn('bash', ['-c', line], {
    cwd: work,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return { line, ...(await ended(child)) }
}

/** Starts a server, waits until it serves, and ends it as Ctrl-C does. */
async function serve(line: string): Promise<(typeof results)[number]> {
  const child = spawn('bash', ['-c', `exec ${line.replace(/^sudo /, '')}`], {
    cwd: work,
    env: { ...environment(), LEAT_DATA: join(folder, 'served') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let isOver = false
  const result = ended(child).finally(() => {
    isOver = true
  })
  const isDht = /agent dht/.test(line)
  while (!isOver && !(isDht ? await listensForDht() : await isServing())) await delay(50)
  child.kill('SIGINT')
  return { line, ...(await result) }
}

async function isServing(): Promise<boolean> {
  return await answers('http://127.0.0.1:5051/readyz').catch(() => false)
}

/** The DHT node of the page listens on UDP port 49740. */
async function listensForDht(): Promise<boolean> {
  return /:C24C /.test(await readFile('/proc/net/udp', 'utf8'))
}

async function ended(child: ReturnType<typeof spawn>): Promise<{ code: number | null; output: string }> {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  return await new Promise((resolve) => child.once('close', (code) => resolve({ code, output })))
}
