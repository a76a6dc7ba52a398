import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AgentProcess } from '../../../testkit/agent-process.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { requirePrograms, requireRoot, run } from '../../../testkit/programs.ts'
import { buildImage, type Image, push } from '../../../testkit/registries/image.ts'
import { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import type { Host } from '../../runtimes/host.ts'

/** An upstream and an agent for runtimes that only `agent runtime install` configures. */

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url))
/** Only the agent knows this registry, so an image that is pulled from it has come through the agent. */
export const REGISTRY = 'registry.test'
/** The image of the lab. */
export const REF = `${REGISTRY}/library/app:v1`

export interface InstallLab {
  readonly programs: Readonly<Record<string, string>>
  readonly folder: string
  readonly upstream: UpstreamRegistry
  readonly agent: AgentProcess
  readonly image: Image
}

/** `settings` are added to the configuration of the agent. */
export async function startInstallLab(
  t: TestContext,
  names: readonly string[],
  settings = '',
): Promise<InstallLab | undefined> {
  const programs: Record<string, string> | undefined = requirePrograms(t, [
    'docker-registry',
    'unshare',
    ...names,
  ])
  if (programs === undefined || !requireRoot(t)) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const upstream = await UpstreamRegistry.start(programs['docker-registry'] ?? '', join(folder, 'upstream'))
  addCleanup(t, () => upstream.stop())
  const entry = (name: string) =>
    `  - namespace: ${name}\n    host: 127.0.0.1:${upstream.port}\n    tls: false\n`
  const config = `upstreams:\n${entry(REGISTRY)}${entry('docker.io')}${settings}`
  const agent = await AgentProcess.start(join(folder, 'agent'), config)
  addCleanup(t, () => agent.stop())
  const image = buildImage('installed', { layerSizes: [64 * 1024, 100] })
  await push(upstream.url, 'library/app', 'v1', image)
  return { programs, folder, upstream, agent, image }
}

export async function runRuntimeCommand(
  action: string,
  host: Host,
  address: string,
  ...more: readonly string[]
): Promise<string> {
  const args = [MAIN, 'runtime', action, '--root', host.root, '--listen', address, ...more]
  return (await run(process.execPath, args)).stdout
}

/** A command in a mount namespace of its own, in which these folders are those of the host. */
export function inHostNamespace(
  host: Host,
  folders: readonly string[],
  command: readonly string[],
): readonly string[] {
  const binds = folders.map((folder) => `mount --bind '${host.at(folder)}' '${folder}' && `).join('')
  return ['--mount', 'sh', '-c', `${binds}exec "$@"`, 'sh', ...command]
}

export async function assertPulledThroughAgent(
  { upstream, agent, image }: InstallLab,
  pull: () => Promise<unknown>,
): Promise<void> {
  await upstream.forget()
  await pull()
  for (const { digest } of [image.manifest, ...image.blobs]) assert.equal(await upstream.fetches(digest), 1)
  const metrics = await (await fetch(`${agent.admin}/metrics`)).text()
  assert.match(metrics, /^leat_served_bytes_total\{source="\w+"\} [1-9]/m)
}
