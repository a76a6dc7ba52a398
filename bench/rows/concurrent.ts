import { Client } from '../client/client.ts'
import type { Blob } from '../content.ts'
import type { Context } from '../context.ts'
import type { Check, Figure } from '../report.ts'
import { withResources } from '../resources.ts'
import { DockerRegistry, MISSING } from '../servers/docker-registry.ts'
import type { MeasuredServer } from '../servers/measured-server.ts'
import { Nginx } from '../servers/nginx.ts'
import { ratios } from '../stats.ts'

const MIB = 1 << 20
const CLIENTS = 20

/** Many clients of one node that pull the same new image at once, as pods do. */
export function concurrent(context: Context): Promise<void> {
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

    const seconds = new Map<string, number[]>()
    const multiples = new Map<string, number[]>()
    const wrong = new Map<string, number>()
    let sentBefore = 0

    /** Measures the pull by all clients. With `hash` every byte is checked, which costs the clients more than receiving. */
    const pullByAll = async (side: MeasuredServer, blob: Blob, hash: boolean): Promise<number> => {
      sentBefore = (await upstream.sent(blob.digest)).bytes
      const jobs = Array.from({ length: CLIENTS }, () => ({
        port: side.port,
        path: side.blobPath(blob.digest),
        hash,
      }))
      const got = await client.download(jobs)
      const bad = got.filter(
        (one) => one.bytes !== blob.size || (hash && `sha256:${one.sha256}` !== blob.digest),
      ).length
      wrong.set(side.name, (wrong.get(side.name) ?? 0) + bad)
      const sent = (await upstream.sent(blob.digest)).bytes - sentBefore
      multiples.set(side.name, [...(multiples.get(side.name) ?? []), sent / blob.size])
      return (
        (Math.max(...got.map((one) => one.endedAt)) - Math.min(...got.map((one) => one.startedAt))) / 1000
      )
    }

    const repetitions = context.quick ? 3 : 5
    for (let round = 0; round < repetitions; round++) {
      const blob = await content.blob(256 * MIB)
      for (const side of sides) {
        const took = await pullByAll(side, blob, false)
        seconds.set(side.name, [...(seconds.get(side.name) ?? []), took])
      }
    }
    const checked = await content.blob(256 * MIB)
    for (const side of sides) await pullByAll(side, checked, true)

    const figures: Figure[] = sides.flatMap((side) => [
      { side: `${side.name}, until the last client has it`, unit: 's', values: seconds.get(side.name) ?? [] },
      { side: `${side.name}, sent by upstream`, unit: 'x', values: multiples.get(side.name) ?? [] },
    ])
    const checks: Check[] = []
    if (leat !== undefined) {
      const most = Math.max(...(multiples.get('leat') ?? []))
      checks.push({
        label: 'leat: sent by upstream at most',
        unit: 'x',
        values: [most],
        atLeast: 1,
        atMost: 1,
      })
      checks.push({
        label: 'leat: clients without the whole blob',
        unit: '',
        values: [wrong.get('leat') ?? 0],
        atMost: 0,
      })
      if (docker !== undefined) {
        const values = ratios(seconds.get('leat') ?? [], seconds.get('docker-registry') ?? [])
        checks.push({ label: 'time of leat / docker-registry', unit: 'x', values, atMost: 0.8 })
      }
    }
    context.report({
      name: `${CLIENTS} clients on one cold blob of 256 MiB`,
      figures,
      checks,
      notes: [
        'every client hashed every byte in an additional pass that is not timed',
        ...(docker === undefined ? [MISSING] : []),
        ...sides
          .filter((side) => side.name !== 'leat' && (wrong.get(side.name) ?? 0) > 0)
          .map((side) => `${side.name} left ${wrong.get(side.name)} clients without a whole blob`),
      ],
    })
  })
}
