import assert from 'node:assert/strict'
import { test } from 'node:test'
import { repositoryFromKey, repositoryKey, sortedRepositories } from '../../../src/oci/names/repository.ts'

test('a repository is read back from its key', () => {
  const repository = { registry: 'localhost:5000', name: 'team/app' }
  assert.deepEqual(repositoryFromKey(repositoryKey(repository)), repository)
  assert.equal(repositoryFromKey('/app'), undefined)
})

test('each repository is listed once, in the order of the keys', () => {
  const named = (name: string) => ({ registry: 'docker.io', name })
  const [app, alpine] = [named('team/app'), named('library/alpine')]
  assert.deepEqual(sortedRepositories([app, alpine, named('team/app')]), [alpine, app])
})
