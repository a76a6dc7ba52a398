import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runInProcess } from '../run-in-process.ts'

let folder = ''
let good = ''
let bad = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-check-'))
  good = join(folder, 'good.yaml')
  bad = join(folder, 'bad.yaml')
  await writeFile(good, 'maxBytes: 50GiB\n')
  await writeFile(
    bad,
    `listen: 5050
maxByte: 1GiB
upstreams:
  - namespace: docker.io
    tagTtl: soon
    hosts: a
    password: hunter2
  - host: https://x
allow: [https://x, docker.io/library/*, "*"]
`,
  )
})
after(() => rm(folder, { recursive: true }))

test('every mistake of the file and of the variables is told in one run, each on a line, and the exit code is 2', async () => {
  const { code, out, err } = await runInProcess(['config', 'check', bad], {
    LEAT_MAXBYTES: '1',
    LEAT_ZONE: '!',
  })
  assert.deepEqual([code, out], [2, ''])
  assert.deepEqual(
    err
      .replaceAll(bad, 'FILE')
      .split('\n')
      .map((line) => line.split(/ is | has a wrong value|; /, 1)[0]),
    [
      'environment: unknown setting "LEAT_MAXBYTES"',
      'FILE:2: unknown setting "maxByte"',
      'FILE:1: listen',
      'FILE:9: allow[0]',
      'FILE:9: allow[2]',
      'LEAT_ZONE',
      'FILE:5: upstreams[0].tagTtl',
      'FILE:6: unknown setting "hosts"',
      'FILE:8: upstreams[1].host',
      '9 mistakes found',
      '',
    ],
  )
  assert.ok(!err.includes('hunter2'))
})

test('programs get the mistakes as JSON', async () => {
  const wrong = await runInProcess(['config', 'check', bad, '--json'])
  assert.equal(wrong.code, 2)
  const { file, ok, mistakes } = JSON.parse(wrong.out)
  assert.deepEqual([file, ok, mistakes.length], [bad, false, 7])
  const right = await runInProcess(['config', 'check', '--config', good, '--json'])
  assert.equal(right.code, 0)
  assert.deepEqual(JSON.parse(right.out), { file: good, ok: true, mistakes: [] })
})

test('a file without a mistake is named', async () => {
  const { code, out, err } = await runInProcess(['config', 'check', good])
  assert.deepEqual([code, out, err], [0, `${good} has no mistakes\n`, ''])
})

test('a file that is not YAML or not there is one mistake', async () => {
  const broken = join(folder, 'broken.yaml')
  await writeFile(broken, 'data: x\ndata: y\nlisten: [\nzone: "\n')
  const { code, err } = await runInProcess(['config', 'check', broken])
  assert.equal(code, 2)
  assert.match(
    err,
    /^\S+broken\.yaml:2: "data" is given twice; keep one\n\S+broken\.yaml:\d: this is not YAML/,
  )
  assert.match(err, /\n2 mistakes found\n$/)
  const none = await runInProcess(['config', 'check', join(folder, 'none.yaml')])
  assert.match(
    none.err,
    /none\.yaml does not exist; give --config the path of a YAML file\n1 mistake found\n$/,
  )
})

test('two files are refused', async () => {
  const two = await runInProcess(['config', 'check', good, bad])
  assert.deepEqual([two.code, two.err], [2, 'agent: only one settings file is read; give one\n'])
  const twice = await runInProcess(['config', 'check', good, '--config', bad])
  assert.deepEqual(
    [twice.code, twice.err],
    [2, 'agent: the settings file is given twice; leave out --config\n'],
  )
})
