import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadSettings } from '../../src/config/load.ts'
import type { Settings } from '../../src/config/schema.ts'
import { convertSettings, KIND_NAMES } from '../../src/migrate/convert.ts'
import { DEPLOY } from './support/manifests.ts'

const DOCS = join(DEPLOY, '../docs')
/** A file of another tool, and the settings of Leat that replace it. */
const EXAMPLE = /Before \(`([^`]+)`\):\n\n```\w+\n(.*?)^```\n\nAfter:\n\n```yaml\n(.*?)^```$/gms

async function loaded(t: TestContext, yaml: string): Promise<Settings> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-docs-'))
  t.after(() => rm(folder, { recursive: true }))
  const config = join(folder, 'config.yaml')
  await writeFile(config, yaml)
  return loadSettings({ flags: { config }, env: {}, defaultFile: '/none' })
}

test('each file of another tool in the documentation becomes the settings that the documentation shows', async (t) => {
  const text = await readFile(join(DOCS, 'migration.md'), 'utf8')
  const examples = [...text.matchAll(EXAMPLE)]
  assert.equal(examples.length, text.match(/^After:$/gm)?.length)
  assert.ok(examples.length >= 11, `only ${examples.length} found`)
  for (const [, path = '', before = '', after = ''] of examples) {
    const { settings, yaml } = convertSettings([{ path, text: before }], {
      kind: undefined,
      withPasswords: false,
    })
    const { config: _one, ...expected } = await loaded(t, after)
    const { config: _other, ...found } = await loaded(t, yaml)
    assert.deepEqual(found, expected, `${path}: ${JSON.stringify(settings)}`)
  }
})

test('every kind is in the table of the documentation', async () => {
  const text = await readFile(join(DOCS, 'migration.md'), 'utf8')
  for (const kind of KIND_NAMES) assert.ok(text.includes(`\`${kind}\``), kind)
})

test('every configuration file in the documentation is valid', async (t) => {
  let count = 0
  const names = (await readdir(DOCS)).filter((name) => name.endsWith('.md'))
  for (const path of [...names.map((name) => join(DOCS, name)), join(DOCS, '../README.md')]) {
    const text = (await readFile(path, 'utf8')).replaceAll(EXAMPLE, '```yaml\n$3```')
    for (const [, block = ''] of text.matchAll(/^```yaml\n(.*?)^```$/gms)) {
      count += 1
      await loaded(t, block).catch((error: unknown) => assert.fail(`${path}: ${error}\n${block}`))
    }
  }
  assert.ok(count > 10, `only ${count} found`)
})
