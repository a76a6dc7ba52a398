import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../src/ports/failure.ts'
import { HiddenImages } from '../../src/sources/hidden-images.ts'
import { type ListedSource, SourceStates } from '../../src/sources/source-states.ts'
import { hub } from './files/files.ts'

const EMPTY = { tags: async () => [], identify: async () => undefined }

function statesOf(listed: readonly ListedSource[]): SourceStates {
  const hidden = new HiddenImages(listed.map(({ source }) => source))
  return new SourceStates(listed, (repositories) => hidden.latest(repositories))
}

test('a state says how many repositories a source has, or why it cannot be read', async () => {
  let reads = 0
  const states = statesOf([
    {
      isExclusive: true,
      source: {
        ...EMPTY,
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
        ...EMPTY,
        name: 'dir /b',
        repositories: () => Promise.reject(new Failure('unavailable', '/b is gone.')),
      },
    },
    {
      isExclusive: false,
      source: { ...EMPTY, name: 'dir /c', repositories: () => Promise.reject(new Error('boom')) },
    },
  ])
  const [first] = await Promise.all([states.read(), states.read()])
  const isCompared = false
  assert.deepEqual(first, [
    { name: 'dir /a', isExclusive: true, repositories: 2, problem: undefined, hidden: [], isCompared },
    {
      name: 'dir /b',
      isExclusive: false,
      repositories: undefined,
      problem: '/b is gone.',
      hidden: [],
      isCompared,
    },
    {
      name: 'dir /c',
      isExclusive: false,
      repositories: undefined,
      problem: 'dir /c cannot be read: boom.',
      hidden: [],
      isCompared,
    },
  ])
  await states.read()
  assert.equal(reads, 1, 'a state is shown for a while')
})

test('a report does not wait for a source that hangs', async (t) => {
  // An agent has servers, which keep its process running.
  const running = setInterval(() => {}, 1_000)
  t.after(() => clearInterval(running))
  const hangs = { ...EMPTY, name: 'docker tcp://x', repositories: () => new Promise<never>(() => {}) }
  const [state] = await statesOf([{ source: hangs, isExclusive: false }]).read()
  assert.equal(state?.problem, 'docker tcp://x has not listed its images within 2 s.')
})

test('a report does not wait until all images are compared', async () => {
  const source = (name: string, identify: () => Promise<undefined>) => ({
    isExclusive: false,
    source: { name, repositories: async () => [hub('app')], tags: async () => ['v1'], identify },
  })
  const hangs = () => new Promise<undefined>(() => {})
  const states = statesOf([source('dir /a', hangs), source('dir /b', async () => undefined)])
  for (let asked = 0; asked < 2; asked += 1) {
    const found = await states.read()
    assert.deepEqual(
      found.map(({ repositories, isCompared }) => ({ repositories, isCompared })),
      Array.from({ length: 2 }, () => ({ repositories: 1, isCompared: false })),
    )
  }
})
