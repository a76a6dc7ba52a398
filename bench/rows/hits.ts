import { Client } from '../client/client.ts'
import { curl, isCurlInstalled } from '../client/curl.ts'
import type { Blob } from '../content.ts'
import type { Context } from '../context.ts'
import type { Check, Figure } from '../report.ts'
import { withResources } from '../resources.ts'
import { DockerRegistry, MISSING } from '../servers/docker-registry.ts'
import type { MeasuredServer } from '../servers/measured-server.ts'
import { Nginx } from '../servers/nginx.ts'
import { untilStored } from '../servers/stored.ts'
import { ratios } from '../stats.ts'

const MIB = 1 << 20

/** How fast stored blobs are served. */
export function hits(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('data'))
    const content = context.content(folder.path)
    const nginx = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const docker = await DockerRegistry.start(`${folder.path}/docker`)
    if (docker !== undefined) resources.add(docker)
    const leat = await context.agent(`${folder.path}/leat`, nginx.port)
    if (leat !== undefined) resources.add(leat)

    const large = await content.blob(1024 * MIB)
    const small = await content.blob(256 * MIB)
    for (const blob of [large, small]) {
      await docker?.pushBlob(blob)
      if (leat !== undefined) await warm(client, leat, blob)
    }

    const sides = [leat, nginx, docker].filter((side) => side !== undefined)
    const pullByOne = receiver(client, 1)
    await measure(context, sides, {
      name: 'stored blob of 1 GiB, one client',
      blob: large,
      clients: 1,
      pull: pullByOne,
    })
    await measure(context, sides, {
      name: 'stored blob of 256 MiB, one client',
      blob: small,
      clients: 1,
      pull: pullByOne,
    })
    if (isCurlInstalled()) {
      await measure(context, sides, {
        name: 'stored blob of 1 GiB, one client (curl)',
        blob: large,
        clients: 1,
        pull: (side, blob) => curl(side.port, side.blobPath(blob.digest), blob.size),
      })
    }
    await measure(context, sides, {
      name: 'stored blob of 256 MiB, 16 clients at once',
      blob: small,
      clients: 16,
      pull: receiver(client, 16),
    })
  })
}

async function warm(client: Client, leat: MeasuredServer, blob: Blob): Promise<void> {
  const [got] = await client.download([{ port: leat.port, path: leat.blobPath(blob.digest), hash: true }])
  if (`sha256:${got?.sha256}` !== blob.digest) {
    throw new Error(`leat sent other bytes than requested: ${JSON.stringify(got)}`)
  }
  await untilStored([leat.storedFile(blob.digest)])
}

/** Measures one transfer, or several at once. Returns their MB/s together. */
type Pull = (side: MeasuredServer, blob: Blob) => Promise<number>

function receiver(client: Client, clients: number): Pull {
  return async (side, blob) => {
    const job = { port: side.port, path: side.blobPath(blob.digest) }
    const results = await client.download(Array.from({ length: clients }, () => job))
    if (results.some((result) => result.status !== 200 || result.bytes !== blob.size)) {
      throw new Error(`${side.name} did not send the whole blob: ${JSON.stringify(results[0])}`)
    }
    const startedAt = Math.min(...results.map((result) => result.startedAt))
    const endedAt = Math.max(...results.map((result) => result.endedAt))
    return (blob.size * clients) / 1000 / (endedAt - startedAt)
  }
}

interface Measurement {
  readonly name: string
  readonly blob: Blob
  readonly clients: number
  readonly pull: Pull
}

async function measure(
  context: Context,
  sides: readonly MeasuredServer[],
  measurement: Measurement,
): Promise<void> {
  const { blob, clients } = measurement
  const rates = new Map<string, number[]>()
  const cpu = new Map<string, number>()
  const repetitions = clients > 1 ? Math.min(context.repetitions, 5) : context.repetitions
  // The first round warms everything up and is not counted.
  for (let round = -1; round < repetitions; round++) {
    for (const side of sides) {
      const cpuBefore = side.program.cpuSeconds()
      const rate = await measurement.pull(side, blob)
      if (round < 0) continue
      rates.set(side.name, [...(rates.get(side.name) ?? []), rate])
      cpu.set(side.name, (cpu.get(side.name) ?? 0) + side.program.cpuSeconds() - cpuBefore)
    }
  }

  const bytes = blob.size * clients * repetitions
  const figures: Figure[] = sides.map((side) => ({
    side: side.name,
    unit: 'MB/s',
    values: rates.get(side.name) ?? [],
    note: `${(((cpu.get(side.name) ?? 0) / bytes) * 1e9).toFixed(2)} CPU s/GB`,
  }))
  const leat = rates.get('leat')
  const nginx = rates.get('nginx') ?? []
  const docker = rates.get('docker-registry')
  const checks: Check[] = []
  if (leat !== undefined) {
    const check = { label: 'leat / nginx', unit: 'x', values: ratios(leat, nginx) }
    checks.push(clients === 1 ? { ...check, atLeast: 0.9 } : check)
    if (docker !== undefined) {
      const atLeast = clients === 1 ? 1.4 : 1
      checks.push({ label: 'leat / docker-registry', unit: 'x', values: ratios(leat, docker), atLeast })
    }
  }
  if (docker !== undefined) {
    checks.push({ label: 'nginx / docker-registry', unit: 'x', values: ratios(nginx, docker) })
  }
  context.report({ name: measurement.name, figures, checks, notes: docker === undefined ? [MISSING] : [] })
}
