import { Client } from '../client/client.ts'
import type { Downloaded } from '../client/jobs.ts'
import type { Context } from '../context.ts'
import type { Figure } from '../report.ts'
import { withResources } from '../resources.ts'
import { DockerRegistry, MISSING } from '../servers/docker-registry.ts'
import { REPOSITORY } from '../servers/measured-server.ts'
import { Nginx } from '../servers/nginx.ts'

const MIB = 1 << 20
/** A repository that upstream serves at 256 KiB/s, which shows whether a server buffers before it sends. */
const SLOW_REPOSITORY = 'slow/image'

/** How much later the first byte of a cold blob comes from the agent than from upstream. */
export function firstByte(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('data'))
    const content = context.content(folder.path)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const leat = await context.agent(`${folder.path}/leat`, upstream.port)
    if (leat !== undefined) resources.add(leat)
    const docker = await DockerRegistry.start(`${folder.path}/docker`, { upstreamPort: upstream.port })
    if (docker !== undefined) resources.add(docker)
    const notes = docker === undefined ? [MISSING] : []

    const firstByteOnly = async (port: number, path: string): Promise<number> => {
      const [got] = await client.download([{ port, path, leaveAfter: 1 }])
      return msToFirstByte(got)
    }
    const wholeBlob = async (port: number, path: string): Promise<number> => {
      const [got] = await client.download([{ port, path }])
      return msToFirstByte(got)
    }

    const times = { upstream: [] as number[], leat: [] as number[], docker: [] as number[] }
    const digests = await content.blobs(context.quick ? 23 : 43, 4 * MIB)
    for (const [round, { digest }] of digests.entries()) {
      const direct = await wholeBlob(upstream.port, upstream.blobPath(digest))
      const agent = leat && (await wholeBlob(leat.port, leat.blobPath(digest)))
      const proxy = docker && (await wholeBlob(docker.port, docker.blobPath(digest)))
      if (round < 3) continue
      times.upstream.push(direct)
      if (agent !== undefined) times.leat.push(agent)
      if (proxy !== undefined) times.docker.push(proxy)
    }
    context.report({
      name: `first byte of a cold blob of 4 MiB, ${times.upstream.length} digests`,
      figures: [
        { side: 'upstream', unit: 'ms', values: times.upstream },
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
      slow.upstream.push(await firstByteOnly(upstream.port, `/v2/${SLOW_REPOSITORY}/blobs/${digest}`))
      if (leat !== undefined)
        slow.leat.push(await firstByteOnly(leat.port, leat.blobPath(digest, SLOW_REPOSITORY)))
      if (docker !== undefined) {
        slow.docker.push(
          await firstByteOnly(docker.port, docker.blobPath(digest).replace(REPOSITORY, SLOW_REPOSITORY)),
        )
      }
    }
    context.report({
      name: 'first byte when upstream sends 256 KiB/s',
      figures: [
        { side: 'upstream', unit: 'ms', values: slow.upstream },
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
  if (got?.status !== 200) throw new Error(`a blob was not served: ${JSON.stringify(got)}`)
  return got.firstByteAt - got.startedAt
}

function figure(side: string, values: readonly number[]): Figure[] {
  return values.length === 0 ? [] : [{ side, unit: 'ms', values }]
}

function later(times: readonly number[], upstream: readonly number[]): number[][] {
  return times.length === 0 ? [] : [times.map((time, at) => time - (upstream[at] ?? Number.NaN))]
}
