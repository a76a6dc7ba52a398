import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { withoutSettings } from '../../../testkit/agent-process.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { Daemon } from '../../../testkit/daemon.ts'
import { type LabMachine, Network } from '../../../testkit/lab/network.ts'
import { requireNamespaces } from '../../../testkit/lab/start-lab.ts'
import { requirePrograms, requireRoot, tryRun } from '../../../testkit/programs.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { MAIN } from '../../cli/agent-process.ts'
import { containerd } from '../kinds/containerd.ts'
import { DockerDaemon } from './docker-daemon.ts'

const PORT = 5000
const CLIENTS = 20

/** A program that runs on a machine of the lab. */
async function onMachine(folder: string, { namespace, label }: LabMachine, program: string): Promise<string> {
  const path = join(folder, `${label}-${program.split('/').at(-1)}`)
  await writeFile(path, `#!/bin/sh\nexec ip netns exec ${namespace} ${program} "$@"\n`)
  await chmod(path, 0o755)
  return path
}

test('a node with containerd pulls what only the Docker of its host has, as kind and k3d do', async (t) => {
  const programs = requirePrograms(t, ['dockerd', 'docker', 'containerd', 'ctr', 'skopeo', 'curl'])
  if (programs === undefined || !requireRoot(t) || !requireNamespaces(t)) return
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const network = new Network()
  addCleanup(t, () => network.close())
  const host = network.addMachine('host')
  const node = network.addMachine('node')
  const docker = await DockerDaemon.start(t, programs, join(folder, 'docker'))
  // The registry of the node is called registry.test.
  const [app, large, gone] = ['app', 'large', 'gone'].map((seed) =>
    buildImage(`of the host ${seed}`, { layerSizes: [seed === 'large' ? 30_000_000 : 200_000, 100] }),
  )
  assert.ok(app && large && gone)
  await docker.load('registry.test/acme/app:v1', app)
  await docker.load('registry.test/acme/app:large', large)
  await docker.load('registry.test/acme/app:gone', gone)

  const address = `${host.address}:${PORT}`
  const agent = new Daemon(
    'the agent on the host',
    'ip',
    [
      ...['netns', 'exec', host.namespace, process.execPath, MAIN, 'serve', '--docker'],
      ...['--data', join(folder, 'data')],
    ],
    {
      env: {
        ...withoutSettings(),
        DOCKER_HOST: docker.socket,
        REGISTRY_LISTEN_ADDR: address,
        REGISTRY_PREFIXES: 'acme/',
      },
    },
  )
  addCleanup(t, () => agent.stop())
  const curl = await onMachine(folder, node, programs.curl)
  const get = (path: string) =>
    tryRun(curl, [
      '--silent',
      '--output',
      '/dev/null',
      '--write-out',
      '%{http_code} %header{retry-after}',
      `http://${address}/v2/${path}`,
    ])
  const status = async (path: string): Promise<string> =>
    (await get(`${path}?ns=registry.test`)).stdout.trim()
  await agent.ready(async () => (await status('')) === '200')

  await mkdir(join(folder, 'containerd'))
  const onNode = {
    containerd: await onMachine(folder, node, programs.containerd),
    ctr: await onMachine(folder, node, programs.ctr),
  }
  const client = await containerd.start(onNode, join(folder, 'containerd'), address)
  addCleanup(t, () => client.stop())

  await t.test('twenty clients at once cause one save, and containerd has the image', async () => {
    const answers = await Promise.all(Array.from({ length: CLIENTS }, () => status('acme/app/manifests/v1')))
    assert.deepEqual(
      answers,
      Array.from({ length: CLIENTS }, () => '200'),
    )
    await client.pull({ repository: 'acme/app', reference: 'v1' })
    assert.equal(docker.saves, 1)
  })

  await t.test('an image that is removed while it is pulled is pulled whole, or absent', async () => {
    const pulling = status('acme/app/manifests/gone')
    await docker.docker('rmi', 'registry.test/acme/app:gone')
    assert.match(await pulling, /^(?:200|404|503.*)$/)
    assert.equal(await status('acme/app/manifests/gone'), '404')
    assert.equal(await status('acme/app/manifests/v1'), '200')
  })

  await t.test('a daemon that is restarted in the middle of a save costs a retry', async () => {
    const pulling = status('acme/app/manifests/large')
    await docker.stop()
    await pulling
    await docker.start()
    let answer = await status('acme/app/manifests/large')
    // An image whose save has failed is not saved again at once.
    for (; answer.startsWith('503'); answer = await status('acme/app/manifests/large')) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * Number(answer.split(' ')[1] ?? 1)))
    }
    assert.equal(answer, '200')
    await client.pull({ repository: 'acme/app', reference: 'large' })
  })
})
