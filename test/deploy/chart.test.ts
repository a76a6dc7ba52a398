import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import * as v from 'valibot'
import { parse } from 'yaml'
import { SETTINGS, type SettingName } from '../../src/config/schema.ts'
import { Metrics } from '../../src/observe/metrics/metrics.ts'
import { CHART_SETTINGS } from '../../testkit/schemas/chart-values.ts'
import { chartValuesText } from '../../testkit/schemas/documents.ts'
import { GAUGES } from '../observe/gauge-values.ts'
import { documentedCommands } from '../start/docs/documented-commands.ts'
import { CHART, openChart, VALUE_SETS } from './support/helm.ts'
import { containersOf, DEPLOY, named, resourcesIn, workloadsOf } from './support/manifests.ts'
import { assertSound, settingsOf } from './support/soundness.ts'

const Shape = v.looseObject({
  properties: v.optional(v.record(v.string(), v.unknown()), {}),
  additionalProperties: v.optional(v.unknown()),
})
const Table = v.record(v.string(), v.unknown())

test('every value of the chart is in its schema, and nothing else is', async () => {
  const values: unknown = parse(await readFile(join(CHART, 'values.yaml'), 'utf8'), { version: '1.1' })
  const schema: unknown = JSON.parse(await readFile(join(CHART, 'values.schema.json'), 'utf8'))
  compare(values, schema, '')
})

/** `global` belongs to Helm, and the content of `config` to the settings. */
function compare(values: unknown, schema: unknown, path: string): void {
  const shape = v.safeParse(Shape, schema)
  if (!shape.success || shape.output.additionalProperties !== false || path === '.config') return
  const known = Object.keys(shape.output.properties).filter((key) => key !== 'global')
  const given = v.parse(Table, values)
  assert.deepEqual(Object.keys(given).sort(), known.sort(), path)
  for (const key of known) compare(given[key], shape.output.properties[key], `${path}.${key}`)
}

test('the schema of the values is that of the code; npm run schemas writes it', async () => {
  assert.equal(await readFile(join(CHART, 'values.schema.json'), 'utf8'), chartValuesText())
})

test('`config` of the chart accepts exactly the settings for which the chart has no value', async () => {
  const schema: unknown = JSON.parse(await readFile(join(CHART, 'values.schema.json'), 'utf8'))
  const config = v.parse(Shape, v.parse(Shape, schema).properties['config'])
  const names = (Object.keys(SETTINGS) as SettingName[]).filter((name) => SETTINGS[name].inFile)
  assert.deepEqual(
    Object.keys(config.properties).sort(),
    names.filter((name) => !CHART_SETTINGS.includes(name)).sort(),
  )
})

test('the chart and the changelog have the version of the program', async () => {
  const program: unknown = JSON.parse(await readFile(join(DEPLOY, '../package.json'), 'utf8'))
  const chart: unknown = parse(await readFile(join(CHART, 'Chart.yaml'), 'utf8'))
  const { version } = v.parse(v.looseObject({ version: v.string() }), program)
  const versions = v.parse(v.looseObject({ version: v.string(), appVersion: v.string() }), chart)
  assert.deepEqual([versions.version, versions.appVersion], [version, version])
  const changelog = await readFile(join(DEPLOY, '../CHANGELOG.md'), 'utf8')
  assert.equal(/^## (\S+)/m.exec(changelog)?.[1], version)
})

test('the dashboard and the alert rules use only metrics that exist', async () => {
  const dashboard = await readFile(join(CHART, 'files/dashboard.json'), 'utf8')
  const alerts = await readFile(join(CHART, 'files/alerts.yaml'), 'utf8')
  const metrics = new Metrics({ version: '0' })
  try {
    const text = metrics.text(GAUGES)
    const names = new Set(`${dashboard}${alerts}`.match(/\b(?:leat|process)_[a-z_]+/g))
    assert.ok(names.size > 15)
    for (const name of names)
      assert.match(text, new RegExp(`^# TYPE ${name.replace(/_bucket$/, '')} `, 'm'), name)
  } finally {
    metrics.close()
  }
})

test('the share of saved bytes leaves out what is hosted, which never comes from upstream', async () => {
  const dashboard = await readFile(join(CHART, 'files/dashboard.json'), 'utf8')
  const { panels } = v.parse(
    v.looseObject({
      panels: v.array(
        v.looseObject({ title: v.string(), targets: v.array(v.looseObject({ expr: v.string() })) }),
      ),
    }),
    JSON.parse(dashboard),
  )
  const expression = panels.find(({ title }) => title === 'Bytes saved')?.targets[0]?.expr ?? assert.fail()
  const parts = [...expression.matchAll(/leat_(?:served|saved)_bytes_total\{(\w+="\w+"),/g)].map(
    ([, label]) => label,
  )
  assert.deepEqual(parts, ['to="clients"', 'to="clients"', 'source="upstream"'])
})

test('the rendered chart is sound, and the manifests are current', async (t) => {
  const chart = await openChart(t)
  if (chart === undefined) return
  const render = (values: string, ...flags: string[]): Promise<string> => chart.render(values, { flags })

  await t.test('the manifests are what deploy/render.sh renders', async () => {
    const values = await readFile(join(DEPLOY, 'manifests.values.yaml'), 'utf8')
    const read = (path: string): Promise<string> => readFile(join(DEPLOY, 'manifests', path), 'utf8')
    assert.equal(await render(values, '--no-hooks'), await read('10-leat.yaml'))
    assert.equal(
      await render(values, '--show-only', 'templates/restore.yaml'),
      await read('uninstall/restore.yaml'),
    )
  })

  for (const [name, values] of Object.entries(VALUE_SETS))
    await t.test(name, async () => assertSound(resourcesIn(await render(values))))

  await t.test('the admin port asks for tokens and speaks TLS when Secrets are named', async () => {
    const values = 'admin: { tokenSecret: leat-tokens, tlsSecret: leat-tls }\n'
    const text = await render(values)
    const { template } = named(workloadsOf(resourcesIn(text)), 'leat')
    const mounts = named(template.spec.containers, 'agent').volumeMounts.map(({ name }) => name)
    assert.deepEqual(
      ['admin-token', 'admin-tls', 'config'].filter((name) => !mounts.includes(name)),
      [],
    )
    for (const path of ['token', 'read-token'])
      assert.match(text, new RegExp(`/etc/leat/admin-token/${path}\n`))
    assert.equal(text.match(/scheme: HTTPS/g)?.length, 3)
  })

  await t.test('what waits for an uninstall can run on any node but one that is gone', async () => {
    const waiterOf = async (values: string) =>
      named(workloadsOf(resourcesIn(await render(values))), 'leat-restore-wait').template.spec.tolerations
    const never = { operator: 'Equal', value: 'never', effect: 'NoExecute' }
    const gone = ['not-ready', 'unreachable'].map((name) => ({
      ...never,
      key: `node.kubernetes.io/${name}`,
    }))
    assert.deepEqual(await waiterOf(''), [{ operator: 'Exists', effect: 'NoSchedule' }, ...gone])
    const own = [
      { key: 'a', operator: 'Exists' },
      { operator: 'Exists', effect: 'PreferNoSchedule' },
    ]
    assert.deepEqual(await waiterOf(`tolerations: ${JSON.stringify(own)}\n`), [...own, ...gone])
  })

  await t.test('a longer drain gives the pod more time to end', async () => {
    const { template } = named(workloadsOf(resourcesIn(await render('drainSeconds: 120'))), 'leat')
    assert.equal(template.spec.terminationGracePeriodSeconds, 130)
    assert.equal((await settingsOf(named(template.spec.containers, 'agent'))).drainTimeout, 120_000)
  })

  await t.test(
    'only the container that removes the taint has a token, and every pod of the chart tolerates the taint',
    async () => {
      const values = 'startupTaint: { enabled: true, key: corp/x, mostSeconds: 60 }\ntolerations: []\n'
      const text = await render(values)
      const resources = resourcesIn(text)
      for (const workload of workloadsOf(resources)) {
        // What waits for an uninstall does without a node that is gone.
        if (workload.kind === 'Job') continue
        const { tolerations } = workload.template.spec
        assert.deepEqual(tolerations, [{ key: 'corp/x', operator: 'Exists' }], workload.name)
        for (const { name, volumeMounts } of containersOf(workload))
          assert.equal(
            volumeMounts.some((mount) => mount.name === 'node-token'),
            name === 'startup-taint',
            name,
          )
      }
      const { template } = named(workloadsOf(resources), 'leat')
      const { env } = named(template.spec.containers, 'startup-taint')
      const variables = Object.fromEntries(env.map(({ name, value }) => [name, value]))
      assert.deepEqual(
        [variables['TAINT_KEY'], variables['MOST_SECONDS'], variables['ADMIN_URL']],
        ['corp/x', '60', 'http://127.0.0.1:5051'],
      )
      assert.match(text, /request\.userInfo\.username == "system:serviceaccount:leat:leat"\n/)
      assert.match(text, /filter\(taint, taint\.key != "corp\/x"\)/)
    },
  )

  await t.test(
    'only the container that writes events has a token, with the right to create them alone',
    async () => {
      const text = await render('events: { enabled: true, afterSeconds: 60 }\n')
      const resources = resourcesIn(text)
      for (const workload of workloadsOf(resources))
        for (const { name, volumeMounts } of containersOf(workload))
          assert.equal(
            volumeMounts.some((mount) => mount.name === 'node-token'),
            name === 'events',
            name,
          )
      const { template } = named(workloadsOf(resources), 'leat')
      const { env } = named(template.spec.containers, 'events')
      assert.equal(env.find(({ name }) => name === 'AFTER_SECONDS')?.value, '60')
      assert.match(
        text,
        /rules:\n {2}- apiGroups: \[""\]\n {4}resources: \[events\]\n {4}verbs: \[create\]\n---/,
      )
      assert.doesNotMatch(await render(''), /resources: \[events\]|name: events/)
    },
  )

  await t.test('the sources for the admin port can be restricted without restricting the peers', async () => {
    const values =
      'admin: { listen: node }\nnetworkPolicy: { adminFrom: [{ ipBlock: { cidr: 10.9.0.0/16 } }] }\n'
    const policy = resourcesIn(await render(values)).find(
      ({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'leat',
    )
    const { ingress } = v.parse(v.looseObject({ ingress: v.array(v.looseObject({})) }), policy?.spec)
    assert.deepEqual(ingress, [
      {
        ports: [
          { port: 5052, protocol: 'TCP' },
          { port: 49_737, protocol: 'UDP' },
        ],
      },
      { ports: [{ port: 5051, protocol: 'TCP' }], from: [{ ipBlock: { cidr: '10.9.0.0/16' } }] },
    ])
  })

  await t.test(
    'the container that configures the runtime has the certificate of an agent with TLS',
    async () => {
      const values =
        'config: { tlsCert: /tls/a, tlsKey: /tls/b }\nextraVolumes: [{ name: tls }]\nextraVolumeMounts: [{ name: tls, mountPath: /tls }]\n'
      const { template } = named(workloadsOf(resourcesIn(await render(values))), 'leat')
      const install = named(template.spec.initContainers, 'runtime-install')
      assert.ok(install.args.includes('--tls-cert=/tls/a'))
      assert.equal(named(install.volumeMounts, 'tls').mountPath, '/tls')
    },
  )

  await t.test('an image can be named by its digest, and resources by another name', async () => {
    const digest = `sha256:${'0a'.repeat(32)}`
    const values = `fullnameOverride: mirror\nnameOverride: cache\nimage: { tag: "9", digest: "${digest}" }\n`
    const workloads = workloadsOf(resourcesIn(await render(values)))
    const { template } = named(workloads, 'mirror')
    assert.equal(template.metadata.labels['app.kubernetes.io/name'], 'cache')
    const text = await render(values)
    const images = new Set([...text.matchAll(/^ *image: (.*)$/gm)].map(([, image]) => image))
    const own = [...images].filter((image) => !image?.startsWith('leat.local/doctor:'))
    assert.deepEqual(own, [`"registry.example.com/leat@${digest}"`])
    assert.doesNotMatch(text, /name: leat\b/)
  })

  await t.test('the values that the schema takes from the settings reach the agent as they are', async () => {
    const values =
      'config: { scrubRate: 16777216, warm: [alpine:3], upstreams: [{ namespace: a.example, username: a, password: 12345678, tagTtl: 0 }] }\n'
    const text = await render(values)
    assert.match(text, /scrubRate: 16777216\n/)
    assert.match(text, /password: 12345678\n/)
  })

  await t.test('every documented helm command sets values that the chart takes', async () => {
    const commands = (await documentedCommands()).filter(({ line }) =>
      /^helm (?:install|upgrade) leat deploy\/chart /.test(line),
    )
    assert.ok(commands.length > 5)
    for (const { page, line } of commands) {
      const flags = [...line.matchAll(/--set (?:'([^']*)'|(\S+))/g)].flatMap(([, quoted, plain]) => [
        '--set',
        quoted ?? plain ?? '',
      ])
      const { code, stderr } = await chart.tryRender('', { flags })
      assert.equal(code, 0, `${page}: ${line}\n${stderr}`)
    }
  })

  const refused: Readonly<Record<string, RegExp>> = {
    'registri: { port: 1 }': /additional propert/i,
    'peers: { secret: short }': /peers\/secret|peers\.secret/,
    'serviceMonitor: { enabled: true }': /admin\.listen: node/,
    'dht: { enabled: false }': /peers\.bootstrap/,
    'runtime: { name: crio }': /\/etc\/containers/,
    'runtime: { config: /etc/other.toml }': /runtime\.folder/,
    'runtime: { caFile: /ca.crt }': /config\.tlsCert/,
    'startupTaint: { key: "no key" }': /startupTaint/,
    'peers: { secret: 0123456789abcdef, existingSecret: x }': /exclude each other/,
    'image: { repository: "" }': /image\.repository is empty/,
    'image: { digest: abc }': /image\/digest|image\.digest/,
    'registry: { port: 5051 }': /registry\.port and admin\.port are both 5051/,
    'peers: { port: 5050 }': /registry\.port and peers\.port are both 5050/,
    'peers: { dhtPort: 49740 }': /peers\.dhtPort and dht\.port are both 49740/,
    'peers: { maxUpload: fast }': /maxUpload/,
    'peers: { bootstrap: [nowhere] }': /bootstrap/,
    'data: { maxBytes: 50G }': /maxBytes/,
    'config: { tlsCert: /tls/a }': /tlsKey/,
    'config: { tlsKey: /tls/a }': /tlsCert/,
    'config: { auth: { clientCertificates: { caFile: /ca } } }': /tlsCert/,
    'config: { allow: ["https://x"] }': /allow/,
    'config: { warm: ["https://x"] }': /warm/,
    'config: { warm: [{ image: alpine, platforms: [linux] }] }': /warm/,
    'config: { upstreams: [{ namespace: a.example, tagTtl: 60 }] }': /tagTtl/,
    'config: { upstreams: [{ namespace: a.example, tagTtl: "60" }] }': /tagTtl/,
    'config: { upstreams: [{ namespace: a.example, password: x }] }': /username/,
  }
  for (const [values, why] of Object.entries(refused)) {
    await t.test(`${values} is refused`, async () => {
      const { code, stderr } = await chart.tryRender(values)
      assert.notEqual(code, 0)
      assert.match(stderr, why)
    })
  }
})

test('a startup taint needs a version of Kubernetes that can limit agents to their own nodes', async (t) => {
  const chart = await openChart(t)
  if (chart === undefined) return
  const at = (version: string) => chart.tryRender('startupTaint: { enabled: true }', { version })
  assert.match((await at('1.29.9')).stderr, /startupTaint\.enabled needs Kubernetes 1\.30/)
  assert.equal((await at('1.30.0-eks-1')).code, 0)
})
