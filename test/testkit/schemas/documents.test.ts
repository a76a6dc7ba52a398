import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { configFileSchema } from '../../../src/config/json-schema.ts'
import { schemaDocuments } from '../../../testkit/schemas/documents.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const isConfigFile = new Ajv2020({ allowUnionTypes: true }).compile(configFileSchema())

test('the JSON Schemas in docs/schemas are those of the code; npm run schemas writes them', async () => {
  const folder = join(ROOT, 'docs/schemas')
  const files = (await readdir(folder)).filter((name) => name.endsWith('.json'))
  const documents = schemaDocuments()
  assert.deepEqual(files.sort(), [...documents.keys()].sort())
  for (const [name, text] of documents) assert.equal(await readFile(join(folder, name), 'utf8'), text, name)
})

test('every JSON Schema is one', () => {
  for (const [name, text] of schemaDocuments()) {
    if (name === 'openapi.json') continue
    assert.doesNotThrow(
      () => new Ajv2020({ allowUnionTypes: true, formats: { 'date-time': true } }).compile(JSON.parse(text)),
      name,
    )
  }
})

test('the schema of the configuration file accepts the examples of the README', async () => {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
  const examples = [...readme.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text = '']) => parse(text))
  assert.ok(examples.length >= 2)
  for (const example of examples) {
    assert.ok(isConfigFile(example), JSON.stringify(isConfigFile.errors))
  }
})

test('the schema of the configuration file accepts values that YAML reads as numbers', () => {
  const file = {
    maxBytes: 1073741824,
    upstreams: [{ namespace: 'a.example', username: 'a', password: 123, tagTtl: 0 }],
  }
  assert.ok(isConfigFile(file), JSON.stringify(isConfigFile.errors))
})

test('the schema of the configuration file refuses what the agent refuses', () => {
  for (const file of [
    { listn: '127.0.0.1:5050' },
    { listen: ['127.0.0.1:5050'] },
    { logLevel: 'loud' },
    { publicDht: 'yes' },
    { drainTimeout: '25' },
    { maxBytes: '50G' },
    { allow: ['https://a.example'] },
    { allow: 'docker.io/library/*, x' },
    { tlsCert: '/a' },
    { auth: { clientCertificates: { caFile: '/a' } } },
    { warm: ['https://a.example'] },
    { upstreams: [{ namespace: 'a.example', username: 'a' }] },
    { upstreams: [{ host: 'a.example' }] },
    { upstreams: [{ namespace: 'a.example', tag: '60s' }] },
    { warm: [{ platforms: 'all' }] },
  ]) {
    assert.ok(!isConfigFile(file), JSON.stringify(file))
  }
})
