import { Client } from '../client/client.ts'
import type { Loaded } from '../client/jobs.ts'
import { ACCEPT_MANIFEST } from '../content.ts'
import type { Context } from '../context.ts'
import type { Check } from '../report.ts'
import { withResources } from '../resources.ts'
import type { Agent } from '../servers/agent.ts'
import { DockerRegistry, MISSING } from '../servers/docker-registry.ts'
import type { MeasuredServer } from '../servers/measured-server.ts'
import { Nginx } from '../servers/nginx.ts'
import { median, ratios } from '../stats.ts'

const CONNECTIONS = 16

/** Requests for a stored manifest, which a runtime sends before every pull. */
export function small(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('data'))
    const content = context.content(folder.path)
    const nginx = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const docker = await DockerRegistry.start(`${folder.path}/docker`)
    if (docker !== undefined) resources.add(docker)
    const leat = await context.agent(`${folder.path}/leat`, nginx.port)
    if (leat !== undefined) resources.add(leat)

    const image = await content.image(4, 4096)
    const { digest } = image.manifest
    await docker?.pushImage(image)
    const sides: readonly MeasuredServer[] = [leat, nginx, docker].filter((side) => side !== undefined)
    const seconds = context.quick ? 3 : 5
    const rates = new Map<string, number[]>()
    for (let round = -1; round < 3; round++) {
      for (const side of sides) {
        const path = side.manifestPath(digest)
        const rate = await requestRate(client, side.port, path, round < 0 ? 1 : seconds)
        if (round >= 0) rates.set(side.name, [...(rates.get(side.name) ?? []), rate])
      }
    }
    const leatRates = rates.get('leat') ?? []
    const values = ratios(leatRates, rates.get('docker-registry') ?? [])
    const checks: Check[] =
      values.length > 0 ? [{ label: 'leat / docker-registry', unit: 'x', values, atLeast: 8 }] : []
    context.report({
      name: `manifest by digest, ${CONNECTIONS} kept-alive connections`,
      figures: sides.map((side) => ({
        side: side.name,
        unit: 'requests/s',
        values: rates.get(side.name) ?? [],
      })),
      checks,
      notes: docker === undefined ? [MISSING] : [],
    })
    if (leat !== undefined) await halfLoad(context, client, { leat, nginx }, digest, median(leatRates))
    if (leat !== undefined) await overHttp2(context, client, leat, digest)
  })
}

async function requestRate(client: Client, port: number, path: string, seconds: number): Promise<number> {
  const got = await client.load({
    port,
    requests: [{ path, headers: ACCEPT_MANIFEST }],
    connections: CONNECTIONS,
    protocol: 'http/1.1',
    until: { ms: seconds * 1000 },
  })
  if (got.failed > 0) throw new Error(`${got.failed} of ${got.requests} requests for ${path} failed`)
  return (got.requests / got.ms) * 1000
}

async function halfLoad(
  context: Context,
  client: Client,
  sides: { readonly leat: Agent; readonly nginx: Nginx },
  digest: string,
  most: number,
): Promise<void> {
  const rate = Math.round(most / 2)
  const at = (side: MeasuredServer): Promise<Loaded> =>
    client.load({
      port: side.port,
      requests: [{ path: side.manifestPath(digest), headers: ACCEPT_MANIFEST }],
      connections: CONNECTIONS,
      protocol: 'http/1.1',
      until: { ms: context.quick ? 3000 : 5000 },
      rate,
    })
  const runs: Loaded[] = []
  const nginxRuns: Loaded[] = []
  for (let round = 0; round < 3; round++) {
    runs.push(await at(sides.leat))
    nginxRuns.push(await at(sides.nginx))
  }
  const failed = runs.reduce((sum, run) => sum + run.failed, 0)
  const p99 = runs.map((run) => run.latencyMs.p99)
  context.report({
    name: `manifest by digest at half load, ${rate} requests/s`,
    figures: [
      { side: 'leat, median', unit: 'ms', values: runs.map((run) => run.latencyMs.p50) },
      { side: 'leat, 99.9th percentile', unit: 'ms', values: runs.map((run) => run.latencyMs.p999) },
      { side: 'leat, longest', unit: 'ms', values: runs.map((run) => run.latencyMs.max) },
      { side: 'nginx, 99th percentile', unit: 'ms', values: nginxRuns.map((run) => run.latencyMs.p99) },
    ],
    checks: [{ label: 'leat, 99th percentile', unit: 'ms', values: p99, atMost: 5 }],
    notes: [
      'requests are sent at this rate, and the latency counts from when a request was due',
      'nginx at the same rate shows what the machine and the loader add',
      ...(failed > 0 ? [`${failed} requests failed`] : []),
    ],
  })
}

async function overHttp2(context: Context, client: Client, leat: Agent, digest: string): Promise<void> {
  const h1: number[] = []
  const h2: number[] = []
  for (let round = -1; round < 3; round++) {
    for (const protocol of ['http/1.1', 'h2c'] as const) {
      const got = await client.load({
        port: leat.port,
        requests: [{ path: leat.manifestPath(digest), headers: ACCEPT_MANIFEST }],
        connections: protocol === 'h2c' ? CONNECTIONS / 4 : CONNECTIONS,
        streams: 4,
        protocol,
        until: { ms: round < 0 ? 1000 : 3000 },
      })
      if (got.failed > 0) throw new Error(`${got.failed} of ${got.requests} requests over ${protocol} failed`)
      if (round >= 0) (protocol === 'h2c' ? h2 : h1).push((got.requests / got.ms) * 1000)
    }
  }
  context.report({
    name: 'manifest by digest over HTTP/2, for context',
    figures: [
      { side: 'leat, HTTP/1.1, 16 connections', unit: 'requests/s', values: h1 },
      { side: 'leat, h2c, 4 connections of 4', unit: 'requests/s', values: h2 },
    ],
    checks: [{ label: 'h2c / HTTP/1.1', unit: 'x', values: ratios(h2, h1) }],
    notes: ["Node's HTTP/2 client costs as much as the server does"],
  })
}
