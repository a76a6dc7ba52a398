import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { AgentProcess } from '../../../testkit/agent-process.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { requirePrograms, requireRoot, tryRun } from '../../../testkit/programs.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import type { Client, ClientKind } from '../kinds/client.ts'
import { containerd } from '../kinds/containerd.ts'
import { podman } from '../kinds/podman.ts'
import { DockerDaemon } from './docker-daemon.ts'

const APP = { repository: 'acme/app', reference: 'v1' }
const app = buildImage('in docker', { layerSizes: [3_000_000, 50_000, 100] })

interface Lab {
  readonly daemon: DockerDaemon
  readonly agent: AgentProcess
  readonly folder: string
  readonly programs: Record<string, string>
}

async function startLab(t: TestContext, more: { compress?: string } = {}): Promise<Lab | undefined> {
  const names = ['dockerd', 'docker', 'containerd', 'ctr', 'podman', 'skopeo'] as const
  const programs = requirePrograms(t, names)
  if (programs === undefined || !requireRoot(t)) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const daemon = await DockerDaemon.start(t, programs, join(folder, 'docker'))
  const compress = more.compress === undefined ? '' : `\n    compress: ${more.compress}`
  const agent = await AgentProcess.start(
    join(folder, 'agent'),
    `sources:\n  - docker: ${daemon.socket}\n    registry: registry.test\n    exclusive: true${compress}\n`,
  )
  addCleanup(t, () => agent.stop())
  return { daemon, agent, folder, programs }
}

async function startClient(t: TestContext, lab: Lab, kind: ClientKind): Promise<Client> {
  const client = await kind.start(lab.programs, join(lab.folder, kind.name), lab.agent.address)
  addCleanup(t, () => client.stop())
  return client
}

/** After how many seconds the agent will take the request; 0: it has answered it. */
async function retryAfter(agent: AgentProcess, reference: string): Promise<number> {
  const response = await fetch(`http://${agent.address}/v2/acme/app/manifests/${reference}?ns=registry.test`)
  await response.arrayBuffer()
  return Number(response.headers.get('retry-after') ?? 0)
}

async function manifestDigest(agent: AgentProcess, reference: string): Promise<string | number> {
  const response = await fetch(`http://${agent.address}/v2/acme/app/manifests/${reference}?ns=registry.test`)
  await response.arrayBuffer()
  return response.headers.get('docker-content-digest') ?? response.status
}

test('images of a Docker daemon are pulled through the agent', async (t) => {
  const lab = await startLab(t)
  if (lab === undefined) return
  const { daemon, agent } = lab
  const clients = [await startClient(t, lab, podman), await startClient(t, lab, containerd)]
  await daemon.load('acme/app:v1', app)

  await t.test('twenty requests at once have the image saved once', async () => {
    const digests = await Promise.all(Array.from({ length: 20 }, () => manifestDigest(agent, 'v1')))
    assert.match(String(digests[0]), /^sha256:/)
    assert.deepEqual([...new Set(digests)], [digests[0]])
    assert.equal(daemon.saves, 1)
  })

  await t.test('podman and containerd pull it by tag and by digest, and nothing is saved again', async () => {
    const reference = String(await manifestDigest(agent, 'v1'))
    for (const client of clients) {
      for (const name of [APP, { repository: 'acme/app', reference }]) {
        await client.pull(name)
        await client.forget()
      }
      await client.pull(APP)
    }
    await clients[0]?.check(APP, app)
    assert.equal(daemon.saves, 1)
  })

  await t.test('skopeo copies it, with the digests that the manifest names', async () => {
    const target = join(lab.folder, 'copied')
    const result = await tryRun(lab.programs['skopeo'] ?? '', [
      ...['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false'],
      ...[`docker://${agent.address}/registry.test/acme/app:v1`, `dir:${target}`],
    ])
    assert.equal(result.code, 0, result.stderr)
  })

  await t.test('a tag that moves or goes in Docker does so here at once', async () => {
    const before = await manifestDigest(agent, 'v1')
    await daemon.load('acme/app:v1', buildImage('another one'))
    const after = await manifestDigest(agent, 'v1')
    assert.notEqual(after, before)
    await daemon.docker('tag', 'acme/app:v1', 'acme/app:v2')
    assert.equal(await manifestDigest(agent, 'v2'), after)
    await daemon.docker('rmi', 'acme/app:v2')
    assert.equal(await manifestDigest(agent, 'v2'), 404)
    assert.equal(await manifestDigest(agent, 'never'), 404)
  })

  await t.test(
    'a daemon that is stopped while it saves loses nothing: the next request has the image',
    async () => {
      await daemon.load('acme/app:large', buildImage('large', { layerSizes: [60_000_000] }))
      const interrupted = manifestDigest(agent, 'large')
      await daemon.stop()
      await interrupted
      await daemon.start()
      // An image whose save has failed is not saved again at once.
      for (let seconds = await retryAfter(agent, 'large'); seconds > 0; ) {
        await setTimeout(seconds * 1000)
        seconds = await retryAfter(agent, 'large')
      }
      assert.match(String(await manifestDigest(agent, 'large')), /^sha256:/)
    },
  )

  await t.test('while the daemon is away the answer is 503, and it is back without a restart', async () => {
    await daemon.stop()
    assert.equal(await manifestDigest(agent, 'v1'), 503)
    await daemon.start()
    assert.match(String(await manifestDigest(agent, 'v1')), /^sha256:/)
  })
})

test('the same image has the same digest on every machine', async (t) => {
  const digests: (string | number)[] = []
  for (const machine of ['one', 'other']) {
    await t.test(`the ${machine} machine`, async (t) => {
      const lab = await startLab(t, { compress: 'gzip' })
      if (lab === undefined) return
      await lab.daemon.load('acme/app:v1', app)
      digests.push(await manifestDigest(lab.agent, 'v1'))
      const client = await startClient(t, lab, podman)
      await client.pull(APP)
      await client.check(APP, app)
    })
  }
  assert.equal(digests[0], digests[1])
})
