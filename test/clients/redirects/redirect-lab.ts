import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { missingNamespaceRight } from '../../../testkit/lab/namespaces.ts'
import { type LabMachine, Network } from '../../../testkit/lab/network.ts'
import { RemoteProcess } from '../../../testkit/lab/remote-process.ts'
import { requirePrograms, requireRoot, skipTest } from '../../../testkit/programs.ts'
import { IMAGES } from './images.ts'
import type { SeenRequest, ServerTasks } from './servers-program.ts'

const PROGRAM = fileURLToPath(new URL('./servers-program.js', import.meta.url))

/** A machine of a client: the bucket near it, and its programs, which run in its namespace and trust the authority of the lab. */
export interface ClientMachine {
  readonly address: string
  readonly near: SeenRequest['server']
  readonly folder: string
  readonly programs: Readonly<Record<string, string>>
}

/** A registry, an agent that redirects to it, two buckets, and two machines in networks of their own. */
export interface RedirectLab {
  /** What the names of images begin with. */
  readonly registry: string
  readonly machines: readonly ClientMachine[]
  /** Asserts who has given what to a machine since the last time, in a pull of one of the images. */
  assertPulled(machine: ClientMachine, name: keyof typeof IMAGES): Promise<void>
}

/** Undefined where something is missing: the test is skipped or has failed. Everything ends with the test. */
export async function startRedirectLab(
  t: TestContext,
  names: readonly string[],
): Promise<RedirectLab | undefined> {
  const programs: Record<string, string> | undefined = requirePrograms(t, [
    'docker-registry',
    'ip',
    'nsenter',
    'tc',
    ...names,
  ])
  if (programs === undefined || !requireRoot(t)) return undefined
  const missing = missingNamespaceRight()
  if (missing !== undefined) {
    skipTest(t, `network namespaces are not possible here: ${missing}`)
    return undefined
  }
  // Short, because the path of a Unix socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const network = new Network()
  addCleanup(t, async () => network.close())
  const [servers, one, two] = ['servers', 'one', 'two'].map((label) => network.addMachine(label))
  assert.ok(servers !== undefined && one !== undefined && two !== undefined)
  const remote = new RemoteProcess<ServerTasks>(servers, PROGRAM)
  addCleanup(t, () => remote.stop())
  const { registry, caFile } = await remote.ask('start', {
    folder,
    dockerRegistry: programs['docker-registry'] ?? '',
    address: servers.address,
    clients: [one.address, two.address],
  })
  const machine = async (at: LabMachine, near: SeenRequest['server']): Promise<ClientMachine> => ({
    address: at.address,
    near,
    folder: join(folder, at.label),
    programs: await wrapped(join(folder, at.label), at, programs, names, caFile),
  })
  return {
    registry,
    machines: [await machine(one, 'near one'), await machine(two, 'near two')],
    async assertPulled({ address, near }, name) {
      const seen = (await remote.ask('seen', undefined)).filter(({ from }) => from !== servers.address)
      assert.deepEqual(new Set(seen.map(({ from }) => from)), new Set([address]))
      const sentBy = (server: SeenRequest['server']) =>
        new Set(seen.filter((one) => one.server === server && one.method === 'GET').map(({ path }) => path))
      const isFrom = (paths: ReadonlySet<string>, digest: string) =>
        [...paths].some((path) => path.includes(digest.slice('sha256:'.length)))
      const { manifest, blobs } = IMAGES[name]
      const atRegistry = sentBy('registry')
      assert.ok(
        [...atRegistry].some((path) => path.startsWith(`/v2/team/${name}/manifests/`)),
        manifest.digest,
      )
      for (const { digest } of blobs) {
        assert.equal(isFrom(sentBy(near), digest), name === 'app', `${digest} from the bucket`)
        assert.equal(isFrom(atRegistry, digest), name !== 'app', `${digest} from the registry`)
      }
      const other = near === 'near one' ? 'near two' : 'near one'
      assert.equal(seen.filter(({ server }) => server === other).length, 0)
    },
  }
}

/** Scripts that start the programs on a machine, with the authority of the lab as the only one. */
async function wrapped(
  folder: string,
  { namespace }: LabMachine,
  programs: Readonly<Record<string, string>>,
  names: readonly string[],
  caFile: string,
): Promise<Readonly<Record<string, string>>> {
  await mkdir(join(folder, 'bin'), { recursive: true })
  const scripts: Record<string, string> = {}
  for (const name of names) {
    const script = join(folder, 'bin', name)
    // nsenter leaves the mounts as they are, where `ip netns exec` hides the control groups from dockerd.
    const line = `SSL_CERT_FILE=${caFile} exec ${programs['nsenter']} --net=/run/netns/${namespace} ${programs[name]} "$@"`
    await writeFile(script, `#!/bin/sh\n${line}\n`)
    await chmod(script, 0o755)
    scripts[name] = script
  }
  return scripts
}
