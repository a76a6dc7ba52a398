import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileProblem } from '../../src/lib/watched-file.ts'
import { subscribe } from '../../src/observe/events.ts'
import { Registrations } from '../../src/upstream/registrations.ts'

const A = { registry: 'a.test', name: 'app' }
const B = { registry: 'b.test', name: 'app' }

test('other options count from when they are put in use, and a registry that they leave as it is keeps its hosts', async (t) => {
  const entries = [
    { namespace: 'a.test', hosts: ['one.test'] },
    { namespace: 'b.test', username: 'u', password: 'old' },
  ]
  const registrations = new Registrations({ entries })
  t.after(() => registrations.close())
  const [a, b] = [registrations.hostsOf(A), registrations.hostsOf(B)]
  const use = await registrations.prepare({
    entries: [
      { namespace: 'a.test', hosts: ['one.test'] },
      { namespace: 'b.test', username: 'u', password: 'new' },
    ],
  })
  assert.equal(registrations.hostsOf(B), b)
  use()
  assert.equal(registrations.hostsOf(A), a)
  assert.notEqual(registrations.hostsOf(B), b)
  assert.deepEqual(registrations.upstreamOf(B).basic, { username: 'u', password: 'new' })
})

test('a registry that clients have named gets its entry, and loses it', async (t) => {
  const registrations = new Registrations({})
  t.after(() => registrations.close())
  assert.deepEqual(
    registrations.hostsOf(A).map(({ name }) => name),
    ['a.test'],
  )
  const listed = await registrations.prepare({ entries: [{ namespace: 'a.test', hosts: ['mirror.test'] }] })
  listed()
  assert.deepEqual(
    registrations.hostsOf(A).map(({ name }) => name),
    ['mirror.test'],
  )
  const unlisted = await registrations.prepare({})
  unlisted()
  assert.deepEqual(
    registrations.hostsOf(A).map(({ name }) => name),
    ['a.test'],
  )
})

test('the files of a registry are named, and a file that has become unusable is told when they are looked at', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-registrations-'))
  t.after(() => rm(folder, { recursive: true }))
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, 'secret')
  const registrations = new Registrations({ entries: [{ namespace: 'a.test', username: 'u', passwordFile }] })
  t.after(() => registrations.close())
  await registrations.readFiles()
  const problems: (string | undefined)[] = []
  const unsubscribe = subscribe('file.checked', ({ file, problem }) => {
    if (file === passwordFile) problems.push(problem)
  })
  t.after(unsubscribe)
  assert.deepEqual(await registrations.checkFiles(A), [passwordFile])
  assert.deepEqual(await registrations.checkFiles(B), [])
  assert.deepEqual(problems, [])
  await writeFile(passwordFile, '')
  await registrations.checkFiles(A)
  assert.deepEqual(problems, [`${passwordFile} is empty; expected a password`])
})

test('options that name a file that cannot be used are refused, and nothing changes', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-registrations-'))
  t.after(() => rm(folder, { recursive: true }))
  const registrations = new Registrations({ entries: [{ namespace: 'a.test', hosts: ['one.test'] }] })
  t.after(() => registrations.close())
  const before = registrations.hostsOf(A)
  const passwordFile = join(folder, 'none')
  const withFile = { entries: [{ namespace: 'a.test', username: 'u', passwordFile }] }
  await assert.rejects(registrations.prepare(withFile), FileProblem)
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, 'no certificate')
  await assert.rejects(registrations.prepare({ entries: [{ namespace: 'a.test', caFile }] }), FileProblem)
  assert.equal(registrations.hostsOf(A), before)
})
