import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse as parseToml } from 'smol-toml'
import { parse as parseYaml } from 'yaml'
import { PRINTED_KINDS, printedSettings } from '../../src/runtimes/printed-settings.ts'
import { MIRROR } from './install-fixture.ts'

/** Compiled tests are below `.build`, which has no copy of the files. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const YAML_KINDS: readonly string[] = ['talos', 'k3s', 'kind']
const CA = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
const WITH_TLS = { ...MIRROR, tls: { ca: CA }, only: ['docker.io', 'reg.corp:5000'] }

type Json = Readonly<Record<string, unknown>>

function parsed(kind: string, text: string): Json {
  // The tables of the TOML parser have no prototype.
  return YAML_KINDS.includes(kind) ? parseYaml(text) : JSON.parse(JSON.stringify(parseToml(text)))
}

for (const kind of PRINTED_KINDS) {
  test(`the settings for ${kind} say what to do with them, and are those of the file`, async () => {
    const text = printedSettings(kind, MIRROR)
    const extension = YAML_KINDS.includes(kind) ? 'yaml' : 'toml'
    assert.equal(text, await readFile(`${ROOT}test/runtimes/printed/${kind}.${extension}`, 'utf8'))
    assert.match(text, /^# .*[a-z]/)
    assert.ok(Object.keys(parsed(kind, text)).length > 0)
  })
}

test('the values of the chart say the same for Talos and Bottlerocket', async () => {
  for (const kind of ['talos', 'bottlerocket'] as const) {
    const values = await readFile(`${ROOT}deploy/values/${kind}.yaml`, 'utf8')
    const pasted = [...values.matchAll(/^# {3}(.*)$/gm)].map(([, line]) => line).join('\n')
    const [first = ''] = pasted.split('\n---\n')
    assert.deepEqual(parsed(kind, first), parsed(kind, printedSettings(kind, MIRROR)), kind)
  }
})

test('the example for kind has the same patch', async () => {
  const example = parseYaml(await readFile(`${ROOT}examples/kind/cluster.yaml`, 'utf8'))
  const [patch] = parseYaml(printedSettings('kind', MIRROR)).containerdConfigPatches
  assert.deepEqual(parseToml(patch), parseToml(example.containerdConfigPatches[0]))
})

test('an agent with TLS is named with https and its CA, for the registries that were given only', () => {
  const base64 = Buffer.from(CA).toString('base64')
  const url = 'https://127.0.0.1:5050'
  const settings = (kind: (typeof PRINTED_KINDS)[number]) => parsed(kind, printedSettings(kind, WITH_TLS))
  assert.deepEqual(settings('talos'), {
    machine: {
      registries: {
        mirrors: { 'docker.io': { endpoints: [url] }, 'reg.corp:5000': { endpoints: [url] } },
        config: { '127.0.0.1:5050': { tls: { ca: base64 } } },
      },
    },
  })
  assert.deepEqual(settings('bottlerocket'), {
    settings: {
      'container-registry': {
        mirrors: [
          { registry: 'docker.io', endpoint: [url] },
          { registry: 'reg.corp:5000', endpoint: [url] },
        ],
      },
      pki: { leat: { trusted: true, data: base64 } },
    },
  })
  assert.deepEqual(settings('k3s'), {
    mirrors: { 'docker.io': { endpoint: [url] }, 'reg.corp:5000': { endpoint: [url] } },
    configs: { '127.0.0.1:5050': { tls: { ca_file: '/etc/rancher/k3s/leat-ca.crt' } } },
  })
  assert.deepEqual(settings('buildkit'), {
    registry: {
      'docker.io': { mirrors: ['127.0.0.1:5050'] },
      'reg.corp:5000': { mirrors: ['127.0.0.1:5050'] },
      '127.0.0.1:5050': { ca: ['/etc/buildkit/leat-ca.crt'] },
    },
  })
  assert.deepEqual(settings('nerdctl'), {
    host: {
      [url]: {
        capabilities: ['pull', 'resolve'],
        dial_timeout: '200ms',
        ca: '/etc/containerd/certs.d/leat-ca.crt',
      },
    },
  })
})

test('an agent with TLS that the host trusts already needs no CA in the settings', () => {
  for (const kind of PRINTED_KINDS) {
    const text = printedSettings(kind, { ...MIRROR, tls: { ca: undefined } })
    assert.doesNotMatch(text, /leat-ca|pki|http:|http = true/, kind)
    assert.ok(Object.keys(parsed(kind, text)).length > 0)
  }
})
