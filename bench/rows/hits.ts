import { Client } from '../client/client.ts'
import { curl, curlInstalled } from '../client/curl.ts'
import type { Blob } from '../content.ts'
import type { Context } from '../context.ts'
import { owning } from '../owned.ts'
import type { Check, Figure } from '../report.ts'
import { DockerRegistry, MISSING } from '../servers/docker-registry.ts'
import type { Side } from '../servers/measured-server.ts'
import { Nginx } from '../servers/nginx.ts'
import { stored } from '../servers/stored.ts'
import { ratios } from '../stats.ts'

const MIB = 1 << 20

/** Blobs that are stored already: how fast they leave. */
export function hits(context: Context): Promise<void> {
  return owning(async (owned) => {
    const client = owned.add(new Client())
    const folder = owned.add(context.folder('data'))
    const content = context.content(folder.path)
    const nginx = owned.add(await Nginx.start(`${folder.path}/nginx`, content))
    const docker = await DockerRegistry.start(`${folder.path}/docker`)
    if (docker !== undefined) owned.add(docker)
    const leat = await context.agent(`${folder.path}/leat`, nginx.port)
    if (leat !== undefined) owned.add(leat)

    const large = await content.blob(1024 * MIB)
    const small = await content.blob(256 * MIB)
    for (const blob of [large, small]) {
      await docker?.pushBlob(blob)
      if (leat !== undefined) await warm(client, leat, blob)
    }

    const sides = [leat, nginx, docker].filter((side) => side !== undefined)
    const one = receiver(client, 1)
    await measure(context, sides, {
      name: 'stored blob of 1 GiB, one client',
      blob: large,
      clients: 1,
      pull: one,
    })
    await measure(context, sides, {
      name: 'stored blob of 256 MiB, one client',
      blob: small,
      clients: 1,
      pull: one,
    })
    if (curlInstalled()) {
      await measure(context, sides, {
        name: 'stored blob of 1 GiB, one client, which is curl',
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

async function warm(client: Client, leat: Side, blob: Blob): Promise<void> {
  const [got] = await client.download([{ port: leat.port, path: leat.blobPath(blob.digest), hash: true }])
  if (`sha256:${got?.sha256}` !== blob.digest) {
    throw new Error(`leat gave other bytes than asked for: ${JSON.stringify(got)}`)
  }
  await stored([leat.storedFile(blob.digest)])
}

/** One transfer, or several at once: MB/s of all together. */
type Pull = (side: Side, blob: Blob) => Promise<number>

function receiver(client: Client, clients: number): Pull {
  return async (side, blob) => {
    const job = { port: side.port, path: side.blobPath(blob.digest) }
    const results = await client.download(Array.from({ length: clients }, () => job))
    if (results.some((result) => result.status !== 200 || result.bytes !== blob.size)) {
      throw new Error(`${side.name} did not give the blob whole: ${JSON.stringify(results[0])}`)
    }
    const startedAt = Math.min(...results.map((result) => result.startedAt))
    const endedAt = Math.max(...results.map((result) => result.endedAt))
    return (blob.size * clients) / 1000 / (endedAt - startedAt)
  }
}

interface Held {
  readonly name: string
  readonly blob: Blob
  readonly clients: number
  readonly pull: Pull
}

async function measure(context: Context, sides: readonly Side[], held: Held): Promise<void> {
  const { blob, clients } = held
  const rates = new Map<string, number[]>()
  const cpu = new Map<string, number>()
  const repetitions = clients > 1 ? Math.min(context.repetitions, 5) : context.repetitions
  // The first round only makes everything warm.
  for (let round = -1; round < repetitions; round++) {
    for (const side of sides) {
      const cpuBefore = side.program.cpuSeconds()
      const rate = await held.pull(side, blob)
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
    const beside = { label: 'leat / nginx', unit: 'x', values: ratios(leat, nginx) }
    checks.push(clients === 1 ? { ...beside, atLeast: 0.9 } : beside)
    if (docker !== undefined) {
      const atLeast = clients === 1 ? 1.4 : 1
      checks.push({ label: 'leat / docker-registry', unit: 'x', values: ratios(leat, docker), atLeast })
    }
  }
  if (docker !== undefined) {
    checks.push({ label: 'nginx / docker-registry', unit: 'x', values: ratios(nginx, docker) })
  }
  context.report({ name: held.name, figures, checks, notes: docker === undefined ? [MISSING] : [] })
}
