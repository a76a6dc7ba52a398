import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AgentProcess } from '../../../testkit/agent-process.ts'
import { afterwards } from '../../../testkit/cleanup.ts'
import { requirePrograms, requireRoot, run } from '../../../testkit/programs.ts'
import { buildImage, type Image, push } from '../../../testkit/registries/image.ts'
import { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import type { Host } from '../../runtimes/host.ts'

/** What runtimes pull from that are told of the agent by `agent runtime install` and by nothing else. */

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url))
/** Exists only for the agent: what is pulled from it has come through the agent. */
export const REGISTRY = 'registry.test'
/** The lab's image. */
export const REF = `${REGISTRY}/library/app:v1`

export interface Lab {
  readonly programs: Readonly<Record<string, string>>
  readonly folder: string
  readonly upstream: UpstreamRegistry
  readonly agent: AgentProcess
  readonly image: Image
}

/** `settings`: of the agent, besides where it finds its upstream. */
export async function startLab(
  t: TestContext,
  names: readonly string[],
  settings = '',
): Promise<Lab | undefined> {
  const programs: Record<string, string> | undefined = requirePrograms(t, [
    'docker-registry',
    'unshare',
    ...names,
  ])
  if (programs === undefined || !requireRoot(t)) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  afterwards(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const upstream = await UpstreamRegistry.start(programs['docker-registry'] ?? '', join(folder, 'upstream'))
  afterwards(t, () => upstream.stop())
  const entry = (name: string) =>
    `  - namespace: ${name}\n    host: 127.0.0.1:${upstream.port}\n    tls: false\n`
  const config = `upstreams:\n${entry(REGISTRY)}${entry('docker.io')}${settings}`
  const agent = await AgentProcess.start(join(folder, 'agent'), config)
  afterwards(t, () => agent.stop())
  const image = buildImage('installed', { layerSizes: [64 * 1024, 100] })
  await push(upstream.url, 'library/app', 'v1', image)
  return { programs, folder, upstream, agent, image }
}

export async function runtime(
  action: string,
  host: Host,
  address: string,
  ...more: readonly string[]
): Promise<string> {
  const args = [MAIN, 'runtime', action, '--root', host.root, '--listen', address, ...more]
  return (await run(process.execPath, args)).stdout
}

/** A command in a mount namespace of its own, in which these folders of the host's are where the program looks. */
export function onHost(
  host: Host,
  folders: readonly string[],
  command: readonly string[],
): readonly string[] {
  const binds = folders.map((folder) => `mount --bind '${host.at(folder)}' '${folder}' && `).join('')
  return ['--mount', 'sh', '-c', `${binds}exec "$@"`, 'sh', ...command]
}

export async function assertPulledThroughAgent(
  { upstream, agent, image }: Lab,
  pull: () => Promise<unknown>,
): Promise<void> {
  await upstream.forget()
  await pull()
  for (const { digest } of [image.manifest, ...image.blobs]) assert.equal(await upstream.fetches(digest), 1)
  const metrics = await (await fetch(`${agent.admin}/metrics`)).text()
  assert.match(metrics, /^leat_served_bytes_total\{source="\w+"\} [1-9]/m)
}
