import { Client } from '../client/client.ts'
import type { Blob } from '../content.ts'
import type { Context } from '../context.ts'
import { owning } from '../owned.ts'
import type { Check, Figure } from '../report.ts'
import { DockerRegistry, MISSING } from '../servers/docker-registry.ts'
import type { Side } from '../servers/measured-server.ts'
import { Nginx } from '../servers/nginx.ts'
import { ratios } from '../stats.ts'

const MIB = 1 << 20
const CLIENTS = 20

/** A node's worth of pods that want the same new image in the same moment. */
export function crowd(context: Context): Promise<void> {
  return owning(async (owned) => {
    const client = owned.add(new Client())
    const folder = owned.add(context.folder('data'))
    const content = context.content(folder.path)
    const upstream = owned.add(await Nginx.start(`${folder.path}/nginx`, content))
    const leat = await context.agent(`${folder.path}/leat`, upstream.port)
    if (leat !== undefined) owned.add(leat)
    const docker = await DockerRegistry.start(`${folder.path}/docker`, { upstreamPort: upstream.port })
    if (docker !== undefined) owned.add(docker)
    const sides = [leat, docker].filter((side) => side !== undefined)

    const seconds = new Map<string, number[]>()
    const multiples = new Map<string, number[]>()
    const wrong = new Map<string, number>()
    let sentBefore = 0

    /** All of the crowd, timed; with `hash` every byte is checked too, which costs the clients more than receiving. */
    const rush = async (side: Side, blob: Blob, hash: boolean): Promise<number> => {
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
        const took = await rush(side, blob, false)
        seconds.set(side.name, [...(seconds.get(side.name) ?? []), took])
      }
    }
    const checked = await content.blob(256 * MIB)
    for (const side of sides) await rush(side, checked, true)

    const figures: Figure[] = sides.flatMap((side) => [
      { side: `${side.name}, until the last is done`, unit: 's', values: seconds.get(side.name) ?? [] },
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
        label: 'leat: clients not served whole',
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
        'every byte was hashed by every client in a pass of its own that is not timed',
        ...(docker === undefined ? [MISSING] : []),
        ...sides
          .filter((side) => side.name !== 'leat' && (wrong.get(side.name) ?? 0) > 0)
          .map((side) => `${side.name} left ${wrong.get(side.name)} clients without a whole blob`),
      ],
    })
  })
}
