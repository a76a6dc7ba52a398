import { Client } from '../client/client.ts'
import type { Downloaded } from '../client/jobs.ts'
import type { Context } from '../context.ts'
import { owning } from '../owned.ts'
import type { Figure } from '../report.ts'
import { DockerRegistry, MISSING } from '../servers/docker-registry.ts'
import { REPOSITORY } from '../servers/measured-server.ts'
import { Nginx } from '../servers/nginx.ts'

const MIB = 1 << 20
/** A repository that the upstream serves at 256 KiB/s, so that whoever collects before he passes on is seen to. */
const SLOW = 'slow/image'

/** How much later the first byte of a cold blob comes than upstream's own. */
export function firstByte(context: Context): Promise<void> {
  return owning(async (owned) => {
    const client = owned.add(new Client())
    const folder = owned.add(context.folder('data'))
    const content = context.content(folder.path)
    const upstream = owned.add(await Nginx.start(`${folder.path}/nginx`, content))
    const leat = await context.agent(`${folder.path}/leat`, upstream.port)
    if (leat !== undefined) owned.add(leat)
    const docker = await DockerRegistry.start(`${folder.path}/docker`, { upstreamPort: upstream.port })
    if (docker !== undefined) owned.add(docker)
    const notes = docker === undefined ? [MISSING] : []

    const first = async (port: number, path: string): Promise<number> => {
      const [got] = await client.download([{ port, path, leaveAfter: 1 }])
      return msToFirstByte(got)
    }
    const whole = async (port: number, path: string): Promise<number> => {
      const [got] = await client.download([{ port, path }])
      return msToFirstByte(got)
    }

    const times = { upstream: [] as number[], leat: [] as number[], docker: [] as number[] }
    const digests = await content.blobs(context.quick ? 23 : 43, 4 * MIB)
    for (const [round, { digest }] of digests.entries()) {
      const direct = await whole(upstream.port, upstream.blobPath(digest))
      const agent = leat && (await whole(leat.port, leat.blobPath(digest)))
      const proxy = docker && (await whole(docker.port, docker.blobPath(digest)))
      if (round < 3) continue
      times.upstream.push(direct)
      if (agent !== undefined) times.leat.push(agent)
      if (proxy !== undefined) times.docker.push(proxy)
    }
    context.report({
      name: `first byte of a cold blob of 4 MiB, ${times.upstream.length} digests`,
      figures: [
        { side: 'upstream itself', unit: 'ms', values: times.upstream },
        ...figure('leat', times.leat),
        ...figure('docker-registry', times.docker),
      ],
      checks: later(times.leat, times.upstream).map((values) => ({
        label: 'leat later than upstream by',
        unit: 'ms',
        values,
        atMost: 5,
      })),
      notes,
    })

    const slow = { upstream: [] as number[], leat: [] as number[], docker: [] as number[] }
    for (const { digest } of await content.blobs(context.quick ? 3 : 6, MIB)) {
      slow.upstream.push(await first(upstream.port, `/v2/${SLOW}/blobs/${digest}`))
      if (leat !== undefined) slow.leat.push(await first(leat.port, leat.blobPath(digest, SLOW)))
      if (docker !== undefined) {
        slow.docker.push(await first(docker.port, docker.blobPath(digest).replace(REPOSITORY, SLOW)))
      }
    }
    context.report({
      name: 'first byte when upstream sends 256 KiB/s',
      figures: [
        { side: 'upstream itself', unit: 'ms', values: slow.upstream },
        ...figure('leat', slow.leat),
        ...figure('docker-registry', slow.docker),
      ],
      checks: later(slow.leat, slow.upstream).map((values) => ({
        label: 'leat later than upstream by',
        unit: 'ms',
        values,
        atMost: 5,
      })),
      notes,
    })
  })
}

function msToFirstByte(got: Downloaded | undefined): number {
  if (got?.status !== 200) throw new Error(`a blob did not come: ${JSON.stringify(got)}`)
  return got.firstByteAt - got.startedAt
}

function figure(side: string, values: readonly number[]): Figure[] {
  return values.length === 0 ? [] : [{ side, unit: 'ms', values }]
}

function later(times: readonly number[], upstream: readonly number[]): number[][] {
  return times.length === 0 ? [] : [times.map((time, at) => time - (upstream[at] ?? Number.NaN))]
}
