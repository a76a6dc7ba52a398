import { Client } from '../client/client.ts'
import { ACCEPT_MANIFEST, type Blob, type Content } from '../content.ts'
import type { Context } from '../context.ts'
import { sha256Rate } from '../machine.ts'
import type { Check, Figure } from '../report.ts'
import { withResources } from '../resources.ts'
import { DockerRegistry, MISSING } from '../servers/docker-registry.ts'
import type { MeasuredServer } from '../servers/measured-server.ts'
import { Nginx } from '../servers/nginx.ts'
import { untilStored } from '../servers/stored.ts'
import { ratios } from '../stats.ts'
import { coldTls } from './cold-tls.ts'
import { firstByte } from './first-byte.ts'
import { severalConnections } from './several-connections.ts'

const MIB = 1 << 20

/** Content that is not stored yet: the server fetches, verifies, stores and serves it at once. */
export async function cold(context: Context): Promise<void> {
  await blob(context, 'cold blob of 256 MiB, client reads it all', false)
  await blob(context, 'cold blob of 256 MiB, client leaves after the first byte', true)
  await image(context)
  await firstByte(context)
  await coldTls(context)
  await severalConnections(context)
}

interface Setup {
  readonly client: Client
  readonly content: Content
  readonly sides: readonly MeasuredServer[]
  readonly notes: readonly string[]
}

function withUpstream(context: Context, use: (setup: Setup) => Promise<void>): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('data'))
    const content = context.content(folder.path)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const leat = await context.agent(`${folder.path}/leat`, upstream.port)
    if (leat !== undefined) resources.add(leat)
    const docker = await DockerRegistry.start(`${folder.path}/docker`, { upstreamPort: upstream.port })
    if (docker !== undefined) resources.add(docker)
    const sides = [leat, docker].filter((side) => side !== undefined)
    await use({ client, content, sides, notes: docker === undefined ? [MISSING] : [] })
  })
}

function blob(context: Context, name: string, leaves: boolean): Promise<void> {
  return withUpstream(context, async ({ client, content, sides, notes }) => {
    const times = new Times(sides)
    const sha256: number[] = []
    const repetitions = Math.min(context.repetitions, 5)
    for (let round = -1; round < repetitions; round++) {
      // The hash rate is measured in every round, because the machine's speed varies.
      const rate = sha256Rate(200)
      if (round >= 0) sha256.push(rate)
      const wanted = await content.blob((round < 0 ? 32 : 256) * MIB)
      for (const side of sides) {
        await times.measure(side, [wanted], round >= 0, async () => {
          const path = side.blobPath(wanted.digest)
          const [got] = await client.download([
            { port: side.port, path, ...(leaves ? { leaveAfter: 1 } : {}) },
          ])
          if (got === undefined || got.status !== 200 || (!leaves && got.bytes !== wanted.size)) {
            throw new Error(`${side.name} did not send the blob isWhole: ${JSON.stringify(got)}`)
          }
          return got
        })
      }
    }
    const bytes = 256 * MIB
    const leat = times.rates('leat', bytes)
    const checks: Check[] = [
      { label: 'leat / SHA-256 rate', unit: 'x', values: ratios(leat, sha256), atLeast: 0.75 },
    ]
    const docker = times.rates('docker-registry', bytes)
    checks.push({ label: 'leat / docker-registry', unit: 'x', values: ratios(leat, docker) })
    context.report({
      name,
      figures: [
        { side: 'SHA-256, one core', unit: 'MB/s', values: sha256 },
        ...times.figures(bytes, repetitions),
      ],
      checks: checks.filter((check) => check.values.length > 0),
      notes: [...notes, ...times.notes],
    })
  })
}

function image(context: Context): Promise<void> {
  return withUpstream(context, async ({ client, content, sides, notes }) => {
    const times = new Times(sides)
    const repetitions = Math.min(context.repetitions, 5)
    for (let round = -1; round < repetitions; round++) {
      const { manifest, config, layers } = await content.image(4, (round < 0 ? 8 : 64) * MIB)
      for (const side of sides) {
        await times.measure(side, [manifest, config, ...layers], round >= 0, async () => {
          const [first] = await client.download([
            { port: side.port, path: side.manifestPath(manifest.digest), headers: ACCEPT_MANIFEST },
          ])
          const parts = [config, ...layers]
          const got = await client.download(
            parts.map((part) => ({ port: side.port, path: side.blobPath(part.digest) })),
          )
          const wrong = got.find((one, at) => one.status !== 200 || one.bytes !== parts[at]?.size)
          if (first?.status !== 200 || wrong !== undefined) {
            throw new Error(`${side.name} did not send the image isWhole: ${JSON.stringify(wrong ?? first)}`)
          }
          const endedAt = Math.max(...got.map((one) => one.endedAt))
          return { startedAt: first.startedAt, endedAt }
        })
      }
    }
    const bytes = 256 * MIB
    const values = ratios(times.rates('leat', bytes), times.rates('docker-registry', bytes))
    context.report({
      name: 'cold image of four layers of 64 MiB, pulled at once',
      figures: times.figures(bytes, repetitions),
      checks: values.length > 0 ? [{ label: 'leat / docker-registry', unit: 'x', values, atLeast: 1 }] : [],
      notes: [...notes, ...times.notes],
    })
  })
}

/** The times of each server until the client is done and everything is stored. */
class Times {
  readonly notes: string[] = []
  readonly #sides: readonly MeasuredServer[]
  readonly #ms = new Map<string, number[]>()
  readonly #cpu = new Map<string, number>()
  readonly #skipped = new Set<string>()

  constructor(sides: readonly MeasuredServer[]) {
    this.#sides = sides
  }

  async measure(
    side: MeasuredServer,
    blobs: readonly Blob[],
    isCounted: boolean,
    pull: () => Promise<{ readonly startedAt: number; readonly endedAt: number }>,
  ): Promise<void> {
    if (this.#skipped.has(side.name)) return
    const cpuBefore = side.program.cpuSeconds()
    const files = blobs.map((blob) => side.storedFile(blob.digest))
    const [pulled, storedAt] = await Promise.all([pull(), untilStored(files, 20_000)])
    const cpu = side.program.cpuSeconds() - cpuBefore
    if (storedAt === undefined) {
      if (side.name === 'leat') throw new Error('leat did not store the content within 20 s')
      this.notes.push(`${side.name} did not store the content within 20 s and was not measured after that`)
      this.#skipped.add(side.name)
      return
    }
    if (!isCounted) return
    const ms = Math.max(pulled.endedAt, storedAt) - pulled.startedAt
    this.#ms.set(side.name, [...(this.#ms.get(side.name) ?? []), ms])
    this.#cpu.set(side.name, (this.#cpu.get(side.name) ?? 0) + cpu)
  }

  rates(name: string, bytes: number): number[] {
    return (this.#ms.get(name) ?? []).map((ms) => bytes / 1000 / ms)
  }

  figures(bytes: number, repetitions: number): Figure[] {
    return this.#sides
      .filter((side) => this.#ms.has(side.name))
      .map((side) => ({
        side: `${side.name}, until stored`,
        unit: 'MB/s',
        values: this.rates(side.name, bytes),
        note: `${(((this.#cpu.get(side.name) ?? 0) / bytes / repetitions) * 1e9).toFixed(2)} CPU s/GB`,
      }))
  }
}
