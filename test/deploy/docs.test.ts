import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { readArguments } from '../../src/cli/arguments.ts'
import { DEPLOY, resourcesIn, workloadsOf } from './support/manifests.ts'

const ROOT = join(DEPLOY, '..')

interface Page {
  readonly path: string
  readonly text: string
}

async function pages(): Promise<readonly Page[]> {
  const docs = (await readdir(join(ROOT, 'docs'), { recursive: true }))
    .filter((name) => name.endsWith('.md') && !name.startsWith('api/'))
    .map((name) => join('docs', name))
  const paths = ['README.md', 'CONTRIBUTING.md', join('deploy', 'README.md'), ...docs]
  return await Promise.all(
    paths.map(async (path) => ({ path, text: await readFile(join(ROOT, path), 'utf8') })),
  )
}

/** The `agent` commands in shell blocks and between backticks, without comments and without what precedes `agent`. */
function agentLines(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block = '']) =>
    block.replaceAll('\\\n', ' ').split('\n'),
  )
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span)
  const commands = [...blocks, ...spans].map((line) => line.replace(/\s+#.*$/, '').trim())
  return commands.flatMap((line) => {
    const found = /^(?:sudo |kubectl [^|]* -- )?agent (?=[a-z])(.*)$/.exec(line)?.[1]
    return found === undefined ? [] : [found]
  })
}

test('every command in the documentation is valid', async () => {
  let count = 0
  const checked = new Set<string>()
  for (const { path, text } of await pages()) {
    for (const line of agentLines(text)) {
      count += 1
      if (checked.has(line)) continue
      checked.add(line)
      // A command that is only named, such as `agent pin` in a table, may lack its arguments.
      const args = line.split(/\s+/)
      const isNamed = args.length === 1
      const request = await readArguments(isNamed ? [...args, '--help'] : args, {
        version: '0',
        width: 100,
      }).catch((error: unknown) => error)
      assert.ok(!(request instanceof Error), `${path}: agent ${line}: ${request}`)
    }
  }
  assert.ok(count > 30, `only ${count} found`)
})

test('every finding of the doctor in the documentation is in its source', async () => {
  const folder = join(ROOT, 'src/doctor')
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'))
  const source = (await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))).join('\n')
  const text = await readFile(join(ROOT, 'docs/troubleshooting.md'), 'utf8')
  const table =
    /\| finding \| effect or cause \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(text)?.[1] ?? assert.fail()
  const lines = table.split('\n').flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)])
  assert.ok(lines.length > 20)
  for (const [, line = ''] of lines)
    for (const part of line.split('…').map((each) => each.trim()))
      assert.ok(source.includes(part), `${line}: ${part}`)
})

test('every relative link in the documentation has a target', async () => {
  for (const { path, text } of await pages()) {
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)/g)) {
      if (target === '') continue
      assert.ok(existsSync(join(ROOT, dirname(path), target)), `${path} links to ${target}`)
    }
  }
})

test('every file of src that a document names exists', async () => {
  const texts = [
    ...(await pages()),
    { path: 'ARCHITECTURE.md', text: await readFile(join(ROOT, 'ARCHITECTURE.md'), 'utf8') },
  ]
  let count = 0
  for (const { path, text } of texts) {
    for (const [, file = ''] of text.matchAll(/`(src\/[a-z0-9/.-]+)`/g)) {
      count += 1
      assert.ok(existsSync(join(ROOT, file)), `${path} names ${file}`)
    }
  }
  assert.ok(count > 40, `only ${count} found`)
})

test('every value of the chart that the documentation sets exists', async () => {
  const values = await readFile(join(DEPLOY, 'chart/values.yaml'), 'utf8')
  const known = new Set<string>()
  let section = ''
  for (const [, indent = '', key = ''] of values.matchAll(/^( {0,2})([A-Za-z]+):/gm)) {
    if (indent === '') section = key
    known.add(indent === '' ? key : `${section}.${key}`)
  }
  for (const { path, text } of await pages()) {
    for (const [, value = ''] of text.matchAll(/--set ([A-Za-z.]+)=/g))
      assert.ok(known.has(value), `${path}: ${value}`)
  }
})

test('every container that the documentation names exists', async () => {
  const text = await readFile(join(DEPLOY, 'manifests/10-leat.yaml'), 'utf8')
  const agent = workloadsOf(resourcesIn(text)).find(({ name }) => name === 'leat')
  const names = [...(agent?.template.spec.initContainers ?? []), ...(agent?.template.spec.containers ?? [])]
  for (const page of await pages())
    for (const [, name = ''] of page.text.matchAll(/daemonset\/leat -c ([a-z-]+)/g))
      assert.ok(
        names.some((each) => each.name === name),
        `${page.path}: ${name}`,
      )
})
