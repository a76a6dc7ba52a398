import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Failure } from '../../src/ports/failure.ts'
import { SourceStates } from '../../src/sources/source-states.ts'
import { examineSources } from '../../src/sources/sources.ts'
import { RecordedDocker } from './docker/recorded-docker.ts'
import { hub, temporaryFolder } from './files/files.ts'

test('a state says how many repositories a source has, or why it cannot be read', async () => {
  let reads = 0
  const states = new SourceStates([
    {
      isExclusive: true,
      source: {
        name: 'dir /a',
        repositories: async () => {
          reads += 1
          return [hub('a'), hub('b')]
        },
      },
    },
    {
      isExclusive: false,
      source: {
        name: 'dir /b',
        repositories: () => Promise.reject(new Failure('unavailable', '/b is gone.')),
      },
    },
    {
      isExclusive: false,
      source: { name: 'dir /c', repositories: () => Promise.reject(new Error('boom')) },
    },
  ])
  const [first] = await Promise.all([states.read(), states.read()])
  assert.deepEqual(first, [
    { name: 'dir /a', isExclusive: true, repositories: 2, problem: undefined },
    { name: 'dir /b', isExclusive: false, repositories: undefined, problem: '/b is gone.' },
    { name: 'dir /c', isExclusive: false, repositories: undefined, problem: 'dir /c cannot be read: boom.' },
  ])
  await states.read()
  assert.equal(reads, 1, 'a state is shown for a while')
})

test('a report does not wait for a source that hangs', async (t) => {
  // An agent has servers, which keep its process running.
  const running = setInterval(() => {}, 1_000)
  t.after(() => clearInterval(running))
  const hangs = { name: 'docker tcp://x', repositories: () => new Promise<never>(() => {}) }
  const [state] = await new SourceStates([{ source: hangs, isExclusive: false }]).read()
  assert.equal(state?.problem, 'docker tcp://x has not listed its images within 2 s.')
})

test('the images of a Docker daemon are counted without a store', async (t) => {
  const folder = await temporaryFolder(t)
  const docker = await RecordedDocker.start(folder)
  t.after(() => docker.stop())
  const host = `unix://${docker.socketPath}`
  const [all, none, gone] = await examineSources(
    [
      { from: { kind: 'docker', host } },
      { from: { kind: 'docker', host }, prefixes: ['other/'], isExclusive: true },
      { from: { kind: 'docker', host: `unix://${join(folder, 'none')}` } },
    ],
    'docker.io',
  )
  assert.ok((all?.repositories ?? 0) > 0)
  assert.deepEqual([none?.repositories, none?.isExclusive], [0, true])
  assert.match(gone?.problem ?? '', /Start it, or let this user open its socket\.$/)
})
