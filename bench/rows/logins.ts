import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '../client/client.ts'
import { pushManifests } from '../client/push.ts'
import type { Context } from '../context.ts'
import { withResources } from '../resources.ts'
import type { Agent } from '../servers/agent.ts'
import { REPOSITORY } from '../servers/measured-server.ts'
import { ratios } from '../stats.ts'

const CONNECTIONS = 16
/** The agent has an upstream that it never asks. */
const NO_UPSTREAM = 1
/** `user` with `password`, of cost 10. */
const USERS = 'user:$2b$10$F8ipJbE0/ZdNKi7bEJXnhe2NpewckJ4u0F6wKOnJNulkuJNehsowi\n'
const LOGIN = `Basic ${Buffer.from('user:password').toString('base64')}`
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'
/** An index of nothing needs no other content. */
const INDEX = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [] }))

/** What it costs to check the login of each request for a manifest, compared with an agent that asks for none. */
export function logins(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('logins'))
    const users = join(folder.path, 'users')
    writeFileSync(users, USERS)
    const hosted = `hosted: ["${REPOSITORY}"]\n`
    const auth = `auth: { htpasswd: "${users}", loopback: login }\n`
    const without = await context.agent(join(folder.path, 'without'), NO_UPSTREAM, hosted)
    const asking = await context.agent(join(folder.path, 'asking'), NO_UPSTREAM, hosted + auth)
    if (without === undefined || asking === undefined) return
    resources.add(without)
    resources.add(asking)
    for (const { port } of [without, asking]) await pushManifests(client, port, [INDEX], 1, LOGIN)

    const rate = async ({ port }: Agent): Promise<number> => {
      const headers = { Accept: INDEX_TYPE, Authorization: LOGIN }
      const got = await client.load({
        port,
        requests: [{ path: `/v2/${REPOSITORY}/manifests/v0`, headers }],
        connections: CONNECTIONS,
        protocol: 'http/1.1',
        until: { ms: context.quick ? 2000 : 5000 },
      })
      if (got.failed > 0) throw new Error(`${got.failed} of ${got.requests} requests failed`)
      return (got.requests / got.ms) * 1000
    }
    const rates: { readonly asking: number[]; readonly without: number[] } = { asking: [], without: [] }
    for (let round = -1; round < 3; round++) {
      const both = { asking: await rate(asking), without: await rate(without) }
      if (round < 0) continue
      rates.asking.push(both.asking)
      rates.without.push(both.without)
    }
    context.report({
      name: `pushed manifest, ${CONNECTIONS} connections, with a password in each request`,
      figures: [
        { side: 'leat, asks for a login', unit: 'requests/s', values: rates.asking },
        { side: 'leat, asks for none', unit: 'requests/s', values: rates.without },
      ],
      checks: [{ label: 'with / without', unit: 'x', values: ratios(rates.asking, rates.without) }],
      notes: [],
    })
  })
}
