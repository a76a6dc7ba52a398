import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { AgentProcess } from '../../../testkit/agent-process.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import type { Image } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'

/** An agent that hosts `team/**`, and an image layout with `app:v1`. */
export interface PushLab {
  readonly folder: string
  readonly layout: string
  /** The registry in the names of images. */
  readonly registry: string
  /** The digest of the manifest that the agent serves under this name, once all of its blobs can be pulled, too. */
  served(repository: string, tag: string): Promise<string>
}

export async function startPushLab(t: TestContext, image: Image): Promise<PushLab> {
  // Short, because the path of a Unix socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const agent = await AgentProcess.start(join(folder, 'agent'), 'hosted: ["team/**"]\n')
  addCleanup(t, () => agent.stop())
  const layout = join(folder, 'layout')
  await writeFiles(layout, layoutFiles({ 'app:v1': image }))
  return {
    folder,
    layout,
    registry: agent.address,
    async served(repository, tag) {
      const base = `http://${agent.address}/v2/${repository}`
      const manifest = await fetch(`${base}/manifests/${tag}`)
      assert.equal(manifest.status, 200, `${repository}:${tag}`)
      const { config, layers } = (await manifest.json()) as {
        config: { digest: string }
        layers: { digest: string }[]
      }
      for (const { digest } of [config, ...layers]) {
        assert.equal((await fetch(`${base}/blobs/${digest}`, { method: 'HEAD' })).status, 200, digest)
      }
      return manifest.headers.get('docker-content-digest') ?? ''
    },
  }
}
