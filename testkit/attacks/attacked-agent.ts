import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { AgentProcess } from '../agent-process.ts'
import { makeCertificates } from '../certificates.ts'
import { addCleanup } from '../cleanup.ts'
import { startFaultyUpstream } from '../registries/faulty-upstream.ts'
import type { AttackTarget } from './attack.ts'

const MIB = 1024 * 1024

export interface KnownContent {
  readonly path: string
  readonly bytes: Buffer
}

export interface AttackedAgent extends AttackTarget {
  readonly pid: number
  /** The URL of metrics and health. */
  readonly admin: string
  /** What honest clients request. */
  readonly honest: readonly KnownContent[]
  readonly output: () => string
}

export interface Sample {
  readonly rss: number
  readonly descriptors: number
}

/** Starts an agent in a process of its own, which ends with the test. Its upstream has everything that is requested. */
export async function startAttackedAgent(
  t: TestContext,
  { tls = false }: { tls?: boolean } = {},
): Promise<AttackedAgent> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-attacked-'))
  addCleanup(t, () => rm(folder, { recursive: true }))
  const upstream = await startFaultyUpstream()
  addCleanup(t, () => upstream.close())
  const certificates = tls ? makeCertificates() : undefined
  const blobs = [8 * MIB, 300_000, 3_000_000].map(bytesOf)
  const manifests = [3_900_000, 1000].map(manifestOf)
  const known = [
    ...blobs.map((bytes) => ({ bytes, path: `/v2/up.test/app/blobs/${upstream.addBlob(bytes)}` })),
    ...manifests.map((bytes) => ({
      bytes,
      path: `/v2/up.test/app/manifests/${upstream.addManifest('app', undefined, bytes, OCI_MANIFEST)}`,
    })),
  ]
  let config: Record<string, unknown> = {
    upstreams: [{ namespace: 'up.test', host: upstream.host, tls: false }],
  }
  if (certificates !== undefined) {
    const files = { tlsCert: join(folder, 'tls.crt'), tlsKey: join(folder, 'tls.key') }
    await writeFile(files.tlsCert, certificates.cert)
    await writeFile(files.tlsKey, certificates.key)
    config = { ...config, ...files }
  }
  const agent = await AgentProcess.start(folder, JSON.stringify(config))
  addCleanup(t, () => {
    // The agent is killed, so that the test does not wait for its requests.
    agent.signal('SIGKILL')
    return agent.stop()
  })
  const attacked = {
    port: agent.port,
    ca: certificates?.ca,
    pid: agent.pid,
    admin: agent.admin,
    output: () => agent.output,
  }
  const [blob, ...smallBlobs] = known.slice(0, blobs.length)
  const [manifest, ...smallManifests] = known.slice(blobs.length)
  assert.ok(blob !== undefined && manifest !== undefined)
  return { ...attacked, blob: blob.path, manifest: manifest.path, honest: [...smallBlobs, ...smallManifests] }
}

/** The memory and the file descriptors of a process. */
export async function sampleOf({ pid }: { pid: number }): Promise<Sample> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? assert.fail('no VmRSS')
  return { rss: Number(kibibytes) * 1024, descriptors: (await readdir(`/proc/${pid}/fd`)).length }
}

/** Samples the process until `stop`, which returns the maximum of each value. */
export function watchProcess(process: { pid: number }): { stop(): Promise<Sample> } {
  const most = { rss: 0, descriptors: 0 }
  const sample = async (): Promise<void> => {
    const { rss, descriptors } = await sampleOf(process)
    most.rss = Math.max(most.rss, rss)
    most.descriptors = Math.max(most.descriptors, descriptors)
  }
  let sampling = Promise.resolve()
  const timer = setInterval(() => {
    sampling = sampling.then(sample, () => {})
  }, 50)
  return {
    stop: async () => {
      clearInterval(timer)
      await sampling.catch(() => {})
      await sample()
      return most
    },
  }
}

/** Makes bytes that do not repeat, the same ones for the same size. */
function bytesOf(size: number): Buffer {
  const blocks: Buffer[] = []
  for (let at = 0; at < size; at += 64) blocks.push(createHash('sha512').update(`${size} ${at}`).digest())
  return Buffer.concat(blocks).subarray(0, size)
}

function manifestOf(size: number): Buffer {
  const bytes = bytesOf(300)
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: bytes.length }
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] }
  const text = JSON.stringify({ ...manifest, annotations: { filling: '' } })
  return Buffer.from(text.replace('"filling":""', `"filling":"${'f'.repeat(size - text.length)}"`))
}
