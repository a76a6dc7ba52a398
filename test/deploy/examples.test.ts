import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import * as v from 'valibot'
import { parse } from 'yaml'
import { readArguments } from '../../src/cli/arguments.ts'
import { loadSettings } from '../../src/config/load.ts'
import { openChart } from './support/helm.ts'
import { DEPLOY, named, resourcesIn, workloadsOf } from './support/manifests.ts'
import { assertSound } from './support/soundness.ts'

const EXAMPLES = join(DEPLOY, '../examples')

const Compose = v.object({
  services: v.record(
    v.string(),
    v.object({
      command: v.array(v.string()),
      networks: v.record(v.string(), v.object({ ipv4_address: v.string() })),
      ports: v.array(v.string()),
      read_only: v.literal(true),
    }),
  ),
})

test('the agents of the compose example find each other and are published on loopback only', async () => {
  const file: unknown = parse(await readFile(join(EXAMPLES, 'compose/compose.yaml'), 'utf8'))
  const services = Object.values(v.parse(Compose, file).services)
  const addresses = services.map(({ networks }) => networks['swarm']?.ipv4_address)
  for (const [index, { command, ports }] of services.entries()) {
    const request = await readArguments(command, { version: '0', width: 100 })
    assert.ok(request.kind === 'run')
    const settings = await loadSettings({ flags: request.given.values, env: {}, defaultFile: '/nowhere' })
    assert.equal(settings.advertise, addresses[index])
    const others = settings.bootstrap.map(({ host }) => host)
    assert.deepEqual(
      others,
      addresses.filter((address) => address !== addresses[index]),
    )
    assert.equal(settings.bootstrap[0]?.port, settings.dht.port)
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:505[01]$/)
  }
  assert.equal(services.length, 2)
})

test('the agent of the systemd example reads its configuration file and its variables', async () => {
  const folder = join(EXAMPLES, 'systemd')
  const unit = await readFile(join(folder, 'peers.conf'), 'utf8')
  const credentials = [...unit.matchAll(/^LoadCredential=([^:]+):/gm)].map(([, name]) => name)
  const variables = [...unit.matchAll(/^Environment=(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value])
  const settings = await loadSettings({
    flags: { config: join(folder, 'config.yaml') },
    env: Object.fromEntries(variables),
    defaultFile: '/nowhere',
  })
  assert.equal(settings.peersSecretFile, '%d/swarm-secret')
  const [, corp] = settings.upstreams
  assert.ok(corp?.credentials?.kind === 'password-file')
  assert.ok(credentials.includes(corp.credentials.file.replace('/run/credentials/leat.service/', '')))
  assert.ok(credentials.includes('swarm-secret'))
})

test('the values of the kind example render a sound chart for a cluster of one node', async (t) => {
  const chart = await openChart(t)
  if (chart === undefined) return
  const resources = resourcesIn(
    await chart.render(await readFile(join(EXAMPLES, 'kind/values.yaml'), 'utf8')),
  )
  await assertSound(resources)
  const agent = named(workloadsOf(resources), 'leat')
  assert.ok(agent.template.spec.containers.some(({ image }) => image === 'leat:0.1.0'))
})
