import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { withSha512 } from '../../export/fixture.ts'
import { runInProcess } from '../run-in-process.ts'

test('bundles that one side exports are imported on the other, in their order', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-bundles-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const at = (name: string) => join(folder, name)
  const images = {
    'acme/old:v1': buildImage('old'),
    'acme/strong:v1': withSha512(buildImage('strong')),
    'acme/list:v1': buildIndex('list'),
  }
  await writeFiles(at('layout'), layoutFiles(images))
  await mkdir(at('data'))
  const from = ['--from', `oci:${at('layout')}`]
  const succeed = async (...args: readonly string[]) => {
    const { code, out, err } = await runInProcess(args)
    assert.deepEqual([code, err], [0, ''])
    return out
  }
  const first = ['--to', `oci-archive:${at('1.tar')}`, '--list', at('1.json')]
  await succeed('export', 'acme/old:v1', ...from, ...first)
  await succeed('export', ...from, '--to', `oci-archive:${at('2.tar')}`, '--since', at('1.json'))

  const early = await runInProcess(['import', `oci-archive:${at('2.tar')}`, '--data', at('data')])
  assert.equal(early.code, 1)
  assert.match(early.err, /docker\.io\/acme\/old:v1 is not imported: neither .* has the config sha256:/)
  await succeed('import', `oci-archive:${at('1.tar')}`, '--data', at('data'))
  await succeed('import', `oci-archive:${at('2.tar')}`, '--data', at('data'))

  const names = Object.keys(images)
  await succeed('export', ...names, '--data', at('data'), '--to', `oci:${at('again')}`)
  for (const { manifest } of Object.values(images)) {
    const blob = at(`again/blobs/${manifest.digest.replace(':', '/')}`)
    assert.deepEqual(await readFile(blob), manifest.bytes)
  }

  const altered = await readFile(at('1.tar'))
  await writeFile(at('short.tar'), altered.subarray(0, altered.length / 2))
  const short = await runInProcess(['import', `oci-archive:${at('short.tar')}`, '--data', at('data')])
  assert.equal(short.code, 1)
  assert.match(short.err, /short\.tar/)
})
