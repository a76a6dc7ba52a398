import assert from 'node:assert/strict'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { runInProcess } from '../run-in-process.ts'

const app = buildImage('app')
const list = buildIndex('list', ['amd64', 'arm64'])

test('bundles carry images from one data folder to another, the second one only what is new', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-bundles-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true }))
  const at = (name: string): string => join(folder, name)
  const config = at('config.yaml')
  // The first machine reaches no registry either.
  await writeFile(config, 'upstreams:\n  - {namespace: registry.test, host: "127.0.0.1:1", tls: false}\n')
  const agent = async (...args: string[]) => {
    const { code, err } = await runInProcess([...args, '--config', config])
    return { code, err }
  }
  const name = (image: string): string => `registry.test/acme/${image}`
  await writeFiles(at('layout'), layoutFiles({ [name('app:v1')]: app, [name('list:v1')]: list }))
  assert.deepEqual(await agent('import', `oci:${at('layout')}`, '--data', at('here')), { code: 0, err: '' })
  const from = ['--data', at('here')]
  const first = await agent(
    ...['export', name('app:v1'), '--to', `oci-archive:${at('first.tar')}`, '--list', at('first.json')],
    ...from,
  )
  assert.equal(first.code, 0, first.err)
  const second = await agent(
    ...['export', name('app:v1'), name('list:v1'), '--to', `oci-archive:${at('second.tar')}`],
    ...['--since', at('first.json'), ...from],
  )
  assert.equal(second.code, 0, second.err)

  const there = ['--data', at('there')]
  const early = await agent('import', `oci-archive:${at('second.tar')}`, ...there)
  assert.equal(early.code, 1)
  assert.match(
    early.err,
    /registry\.test\/acme\/app:v1 is not imported: .* Import the bundles before this one/,
  )
  assert.equal((await agent('import', `oci-archive:${at('first.tar')}`, ...there)).code, 0)
  assert.deepEqual(await agent('import', `oci-archive:${at('second.tar')}`, ...there), { code: 0, err: '' })
  const { out } = await runInProcess(['ls', '--json', ...there])
  const states = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    states.map(({ tag, digest, state }) => [tag, digest, state]),
    [
      ['v1', app.manifest.digest, 'whole'],
      ['v1', list.manifest.digest, 'whole'],
    ],
  )
  await truncate(at('second.tar'), 5_000)
  const cut = await agent('import', `oci-archive:${at('second.tar')}`, ...there)
  assert.equal(cut.code, 1)
  assert.match(cut.err, /second\.tar cannot be read as a tar archive: the archive is cut short/)
})
